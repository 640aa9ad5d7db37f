"""Whether two mathematical answers say the same. Exact: no rounding, no tolerance.

What a reference leaves unsaid an answer may say (a unit, `x =`), and the other way round; what both say must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from sveb.tasks.graders.grade import SAME, Verdict
from sveb.tasks.graders.math_bounds import TooLargeError, UnreadableError
from sveb.tasks.graders.math_equal import equal
from sveb.tasks.graders.math_kinds import (
    UNSAID,
    Based,
    Interval,
    Items,
    Literal,
    Matrix,
    Reading,
    Relation,
    System,
    Union,
    Value,
)  # fmt: skip
from sveb.tasks.graders.math_reading import read
from sveb.tasks.graders.math_sets import parts_of, set_of
from sveb.tasks.graders.number_words import value_of


def verdict(reference: str, found: str) -> Verdict:
    """The grade of an answer. None where the reference is not certain, or the answer takes too long to compute."""
    try:
        gold = read(reference)
    except (UnreadableError, TooLargeError) as error:
        return Verdict(None, f"the reference cannot be read: {error}")
    try:
        other = read(found)
    except UnreadableError as error:
        return Verdict(0.0, f"the answer cannot be read: {error}")
    except TooLargeError as error:
        return Verdict(None, f"the answer cannot be compared: {error}")
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # sympy raises anything of an expression that has no value
        return Verdict(0.0, f"the answer cannot be read: {type(error).__name__}")
    return Verdict(1.0, SAME) if same(gold, other) else Verdict(0.0, "the answer says something else")


def same(gold: Reading, other: Reading) -> bool:
    """Whether both say the same."""
    if gold == other:
        return True
    gold, other = _to_the_point(gold, other)
    match gold, other:
        case Value(), Value():
            return _same_value(gold, other)
        case (Interval() | Union(), Interval() | Union()):
            return _same_variable(gold.variable, other.variable) and _same_sets(gold, other)
        case Items(), Items():
            return _same_items(gold, other)
        case Relation(), Relation():
            return _same_relation(gold, other)
        case System(one), System(two):
            return _matched(_flat(one), _flat(two))
        case Matrix(one), Matrix(two):
            return _same_rows(one, two)
        case Based(digits, _), Value(expr):  # an answer may leave the base out; only base ten may be added
            return digits.isdigit() and bool(expr == sp.Integer(digits))
        case Value(expr), Based(digits, "10"):
            return digits.isdigit() and bool(expr == sp.Integer(digits))
    return _in_another_form(gold, other) or _in_another_form(other, gold)


def _in_another_form(one: Reading, two: Reading) -> bool:
    """Whether both say the same, each as its own kind."""
    match one, two:
        case Value(expr), Literal(text):
            if _is_word(expr):
                return text.casefold() == str(expr).replace("*", "").casefold()
            return bool(expr == value_of(text))  # in words
        case Interval(), Items("tuple", (Value(low), Value(high))):
            return _same_sets(one, Interval("()", low, high))
        case System(parts), Items("tuple", values):
            return _as_point(parts, values)
        case System(parts), Items("list", values):
            return _matched(_of_one_name(parts), values)
        case Matrix(rows), Items("tuple", parts):
            return all(len(row) == 1 for row in rows) and _same_rows(rows, tuple((part,) for part in parts))
        case Items("ratio", (Value(top), Value(bottom))), Value(expr):
            return bottom != 0 and equal(top / bottom, expr)
        case Items("ratio", parts), Literal(text):
            return text == "to".join(str(part.expr) for part in parts if isinstance(part, Value))
        case Items("set" | "list", (only,)), _ if not isinstance(two, Items):
            return same(only, two)
    return False


def _to_the_point(gold: Reading, other: Reading) -> tuple[Reading, Reading]:
    """Without `x =` where only one of them has it."""
    if isinstance(gold, Relation) != isinstance(other, Relation):
        if isinstance(gold, Relation):
            return _named_value(gold) or gold, other
        assert isinstance(other, Relation)
        return gold, _named_value(other) or other
    return gold, other


def _named_value(relation: Relation) -> Reading | None:
    """What an equation says that its left side is; of a computation the result. A wrong computation says nothing."""
    if set(relation.signs) - {"=", "~"} or relation.modulus is not None:
        return None
    values = [side.expr for side in relation.sides if isinstance(side, Value)]
    numbers = [expr for expr in values if not expr.free_symbols]
    if any(not equal(numbers[-1], expr) for expr in numbers[:-1]) and "~" not in relation.signs:
        return None
    last, first = relation.sides[-1], relation.sides[0]
    if _is_name(first):
        names = first.expr.free_symbols if isinstance(first, Value) and first.expr.is_Symbol else set()
        return None if isinstance(last, Value) and names & last.expr.free_symbols else last
    if _is_name(last) and len(relation.sides) == 2:
        return first
    return last if numbers and len(numbers) == len(relation.sides) else None


def _is_name(side: Reading) -> bool:
    if isinstance(side, Literal):
        return True
    if not isinstance(side, Value) or side.unit:
        return False
    return bool(side.expr.is_Symbol or isinstance(side.expr, sp.core.function.AppliedUndef)) or (
        isinstance(side.expr, sp.Mul) and all(arg.is_Symbol and str(arg).isupper() for arg in side.expr.args)
    )


def _is_word(expr: Any) -> bool:
    return bool(expr.is_Symbol) or (isinstance(expr, sp.Mul) and all(arg.is_Symbol for arg in expr.args))


def _same_variable(one: str, two: str) -> bool:
    return not one or not two or one == two


def _same_value(gold: Value, other: Value) -> bool:
    if gold.unit and other.unit and gold.unit != other.unit:
        return False
    if gold.percent != other.percent and not gold.unit and not other.unit:
        bare, share = (other.expr, gold.expr) if gold.percent else (gold.expr, other.expr)
        return equal(bare, share) or equal(bare, share / 100)
    return equal(gold.expr, other.expr)


def _same_items(gold: Items, other: Items) -> bool:
    for several, point in ((gold, other), (other, gold)):
        if several.kind in ("set", "list") and point.kind == "tuple" and len(several.parts) == 1:
            return same(several.parts[0], point)
    if len(gold.parts) != len(other.parts):
        return False
    if "sequence" in (gold.kind, other.kind):
        return gold.kind == other.kind and all(map(same, gold.parts, other.parts))
    if gold.kind == other.kind == "ratio":
        one, two = ([part.expr for part in each.parts if isinstance(part, Value)] for each in (gold, other))
        return len(one) == len(two) and all(equal(a * two[0], b * one[0]) for a, b in zip(one, two, strict=True))
    if "ratio" in (gold.kind, other.kind):
        return False
    if gold.kind == other.kind == "tuple":
        return all(map(same, gold.parts, other.parts))
    if {gold.kind, other.kind} == {"tuple", "set"}:
        return False
    if "tuple" in (gold.kind, other.kind):  # (1, 2) and 1, 2
        return all(map(same, gold.parts, other.parts))
    return _matched(gold.parts, other.parts)


def _matched(gold: Sequence[Reading], other: Sequence[Reading]) -> bool:
    """Whether each part has one of its own on the other side, in any order."""
    left = list(other)
    for part in gold:
        place = next((place for place, each in enumerate(left) if same(part, each)), None)
        if place is None:
            return False
        left.pop(place)
    return not left


def _flat(parts: Sequence[Reading]) -> list[Reading]:
    return [each for part in parts for each in (_flat(part.relations) if isinstance(part, System) else [part])]


def _as_point(parts: Sequence[Reading], values: Sequence[Reading]) -> bool:
    """Whether equations, sorted by their variables, give the coordinates of a point."""
    named: dict[str, Reading] = {}
    for part in _flat(parts):
        if not (isinstance(part, Relation) and part.signs == ("=",) and isinstance(part.sides[0], Value)):
            return False
        named[str(part.sides[0].expr)] = part.sides[1]
    return len(named) == len(values) and all(
        same(named[name], value) for name, value in zip(sorted(named), values, strict=True)
    )


def _of_one_name(parts: Sequence[Reading]) -> list[Reading]:
    """The values that `x_1 = 1, x_2 = 2` says of `x`; none where the equations have other names."""
    named = [
        (str(part.sides[0].expr).partition("_"), part.sides[-1])
        for part in parts
        if isinstance(part, Relation) and part.signs == ("=",) and isinstance(part.sides[0], Value)
    ]
    alike = len({name for (name, _, _), _ in named}) == 1 and all(index.isdigit() for (_, _, index), _ in named)
    return [side for _, side in named] if alike and len(named) == len(parts) else []


def _same_rows(one: Sequence[Sequence[Reading]], two: Sequence[Sequence[Reading]]) -> bool:
    return [len(row) for row in one] == [len(row) for row in two] and all(
        same(a, b) for left, right in zip(one, two, strict=True) for a, b in zip(left, right, strict=True)
    )


def _same_relation(gold: Relation, other: Relation) -> bool:
    if (gold.modulus is None) != (other.modulus is None):
        return False
    if gold.modulus is not None and other.modulus is not None and not same(gold.modulus, other.modulus):
        return False
    if len(gold.sides) == len(other.sides):
        if gold.signs == other.signs and all(map(same, gold.sides, other.sides)):
            return True
        if _turned(gold.signs) == other.signs and all(map(same, gold.sides, other.sides[::-1])):
            return True
    if gold.modulus is not None:
        return _congruent(gold, other)
    match gold.sides, other.sides:
        case (Value(a), Value(b)), (Value(c), Value(d)) if all(isinstance(each, sp.Expr) for each in (a, b, c, d)):
            return _proportional(gold.signs, a - b, other.signs, c - d)
    return False


_TURN = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_SYMMETRIC = frozenset(("=", "!=", "~", "equiv", "notequiv", "iff", "perp", "parallel", "sim", "cong"))


def _turned(between: Sequence[str]) -> tuple[str, ...] | None:
    """The signs as they stand when the sides are turned round."""
    found = tuple(_TURN.get(sign) or (sign if sign in _SYMMETRIC else "") for sign in reversed(between))
    return found if all(found) else None


def _proportional(gold: tuple[str, ...], one: Any, other: tuple[str, ...], two: Any) -> bool:
    """Whether `one` and `two`, each compared with 0, are multiples of each other: 2x = 4 and x - 2 = 0."""
    if one == 0 or two == 0:
        return False
    ratio = sp.cancel(one / two)
    if ratio.free_symbols or not ratio.is_number:
        return False
    if gold == other and (gold[0] in ("=", "!=") or (ratio.is_positive and gold[0] in _TURN)):
        return True
    return bool(ratio.is_negative and gold[0] in _TURN and _turned(gold) == other)


def _congruent(gold: Relation, other: Relation) -> bool:
    """The same variable, and residues that differ by a multiple of the modulus."""
    match gold.sides, other.sides, gold.modulus:
        case (name, Value(one)), (other_name, Value(two)), Value(modulus):
            difference = (one - two) / modulus
            named = Literal(UNSAID) in (name, other_name) or same(name, other_name)
            return gold.signs == other.signs and named and bool(difference.is_Integer)
    return False


def _same_sets(one: Reading, two: Reading) -> bool:
    if isinstance(one, Interval) and isinstance(two, Interval):
        return one.brackets == two.brackets and equal(one.low, two.low) and equal(one.high, two.high)
    parts = [parts_of(each) for each in (one, two)]
    if _matched(*parts):
        return True
    sets = [set_of(each) for each in parts]
    return None not in sets and bool(sets[0] == sets[1])
