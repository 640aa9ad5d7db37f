"""Intervals and unions: which set of numbers an inequality says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from sveb.tasks.graders.math_kinds import Interval, Items, Reading, Relation, Union, Value

_OPPOSITE = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def solved(relation: Relation) -> Reading | None:
    """The interval or set that a variable, alone on its side, is said to be in."""
    sides, between = relation.sides, relation.signs
    if between == ("in",) and isinstance(sides[0], Value) and sides[0].expr.is_Symbol:
        name = str(sides[0].expr)
        match sides[1]:
            case Interval(brackets, low, high, _):
                return Interval(brackets, low, high, name)
            case Union(parts, _):
                return Union(parts, name)
            case Items("tuple", (Value(low), Value(high))):
                return Interval("()", low, high, name)
        return None
    if between == ("!=",):
        match sides:
            case (Value(variable), Value(point)) if variable.is_Symbol and point.is_real:
                ends = (Interval("()", -sp.oo, point), Interval("()", point, sp.oo))
                return Union(ends, str(variable))
    if not set(between) <= {"<", "<=", ">", ">="} or not all(isinstance(side, Value) for side in sides):
        return None
    exprs = [side.expr for side in sides if isinstance(side, Value)]
    if len(sides) == 2 and len(free := (exprs[0] - exprs[1]).free_symbols) == 1:
        exprs, between = _isolated(exprs, between, *free)
    if len(sides) == 2 and not (exprs[0].is_Symbol and exprs[1].is_Symbol):
        for variable, bound, sign in ((exprs[0], exprs[1], between[0]), (exprs[1], exprs[0], _OPPOSITE[between[0]])):
            if variable.is_Symbol and not bound.has(variable):
                if sign in ("<", "<="):
                    return Interval("(" + ("]" if sign == "<=" else ")"), -sp.oo, bound, str(variable))
                return Interval(("[" if sign == ">=" else "(") + ")", bound, sp.oo, str(variable))
    if len(sides) == 3 and exprs[1].is_Symbol:
        if set(between) <= {">", ">="}:
            exprs, between = exprs[::-1], tuple(_OPPOSITE[sign] for sign in between[::-1])
        if set(between) <= {"<", "<="}:
            brackets = ("[" if between[0] == "<=" else "(") + ("]" if between[1] == "<=" else ")")
            return Interval(brackets, exprs[0], exprs[2], str(exprs[1]))
    return None


def _isolated(exprs: list[Any], between: tuple[str, ...], variable: Any) -> tuple[list[Any], tuple[str, ...]]:
    """A linear inequality with the variable alone on its left; another as it is."""
    difference = sp.expand(exprs[0] - exprs[1])
    factor = difference.coeff(variable, 1)
    rest = sp.expand(difference - factor * variable)
    if rest.has(variable) or not factor.is_real or factor.is_zero:
        return exprs, between
    return [variable, -rest / factor], between if factor.is_positive else (_OPPOSITE[between[0]],)


def common(parts: Sequence[Reading]) -> Interval | None:
    """What two intervals of one variable have in common, one bounded below and one above: `x > 1, x < 2`."""
    match sorted(parts, key=lambda part: isinstance(part, Interval) and part.low == -sp.oo):
        case [Interval(lower, low, sp.oo, name), Interval(upper, bottom, high)]:
            if bottom == -sp.oo and (high - low).is_extended_positive:
                return Interval(lower[0] + upper[1], low, high, name)
    return None


def without(whole: Reading, taken: Reading) -> Union | None:
    r"""An interval without some inner points, `\mathbb{R} \setminus \{0\}`; None where it is anything else."""
    if not (isinstance(whole, Interval) and isinstance(taken, Items) and taken.kind in ("set", "list")):
        return None
    points = [part.expr for part in taken.parts if isinstance(part, Value) and part.expr.is_real]
    if len(points) != len(taken.parts) or not points:
        return None
    ends = [whole.low, *sorted(points), whole.high]
    if not all((high - low).is_extended_positive for low, high in pairwise(ends)):
        return None
    brackets = [whole.brackets[0] + ")", *["()"] * (len(points) - 1), "(" + whole.brackets[1]]
    return Union(tuple(Interval(kind, *pair) for kind, pair in zip(brackets, pairwise(ends), strict=True)))


def parts_of(reading: Reading) -> list[Reading]:
    """The parts of a union, an open pair among them as an interval."""
    if not isinstance(reading, Union):
        return [reading]
    found = []
    for part in reading.parts:
        match part:
            case Items("tuple", (Value(low), Value(high))):
                part = Interval("()", low, high)
            case Interval(brackets, low, high, _):
                part = Interval(brackets, low, high)
            case Union():
                found += parts_of(part)
                continue
        found.append(part)
    return found


def set_of(parts: Sequence[Reading]) -> Any:
    """The union as a set of real numbers, or None."""
    found: Any = sp.EmptySet
    for part in parts:
        match part:
            case Interval(brackets, low, high, _) if low.is_extended_real and high.is_extended_real:
                found = sp.Union(found, sp.Interval(low, high, brackets[0] == "(", brackets[1] == ")"))
            case Items("set" | "list", values) if all(isinstance(value, Value) for value in values):
                found = sp.Union(found, sp.FiniteSet(*(value.expr for value in values if isinstance(value, Value))))
            case _:
                return None
    return found
