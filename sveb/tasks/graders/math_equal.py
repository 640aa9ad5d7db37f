"""Whether two expressions have the same value: exactly, with variables at points where both are defined."""

from __future__ import annotations

from typing import Any

import sympy as sp  # type: ignore[import-untyped]

# Where expressions with variables are compared: positive, and mixed. No value is special to any function.
_POINTS = (
    tuple(sp.Rational(n, 1009) for n in (1373, 2287, 613, 3181, 1721, 2903, 907, 2411, 1523, 3407)),
    tuple(sp.Rational(n, 2003) for n in (719, 5501, 9311, 1613, 4177, 8623, 3301, 6977, 2609, 7753)),
    tuple(sp.Rational(n, 1511) for n in (-1867, 2539, -911, 4079, -3169, 1429, -2731, 593, -4363, 3557)),
)
_WITH_INDEX = (sp.Sum, sp.Product, sp.Integral, sp.Limit)
_DIGITS, _MORE_DIGITS = 30, 250


def equal(a: Any, b: Any) -> bool:
    """Whether two expressions have the same value at every point where both have one."""
    if a == b:
        return True
    if a.is_Matrix or b.is_Matrix:
        return bool(a.is_Matrix and b.is_Matrix and a.shape == b.shape) and all(map(equal, a, b))
    if isinstance(a, sp.Set) or isinstance(b, sp.Set):
        return False
    if a in (sp.oo, -sp.oo) or b in (sp.oo, -sp.oo):
        return False
    functions = sorted(a.atoms(sp.core.function.AppliedUndef) | b.atoms(sp.core.function.AppliedUndef), key=str)
    if functions:
        names = {function: sp.Dummy(str(function)) for function in functions}
        a, b = a.xreplace(names), b.xreplace(names)
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    if not symbols:
        return _same_number(a, b)
    if len(symbols) > len(_POINTS[0]):
        return bool(sp.expand(a - b) == 0)
    seen = 0
    for points in _POINTS:
        at = dict(zip(symbols, points, strict=False))
        # `subs` leaves the index of a sum alone, which may have the name of a variable; `xreplace` is faster.
        values = [expr.subs(at) if expr.has(*_WITH_INDEX) else expr.xreplace(at) for expr in (a, b)]
        one, two = (_number(value, _DIGITS) for value in values)
        if one is None or two is None:
            continue
        positive = points is not _POINTS[-1]
        if not positive and (abs(sp.im(one)) > 1e-20 or abs(sp.im(two)) > 1e-20) and not (a.has(sp.I) or b.has(sp.I)):
            continue
        if not _close(one, two, _DIGITS - 8):
            return False
        seen += 1
    return seen >= 2


def _same_number(a: Any, b: Any) -> bool:
    if a.is_Rational and b.is_Rational:
        return bool(a == b)
    one, two = _number(a, _DIGITS), _number(b, _DIGITS)
    if one is None or two is None or not _close(one, two, _DIGITS - 8):
        return False
    difference = a - b
    if difference.is_Rational:
        return bool(difference == 0)
    # Near is not the same: of what differs at all, nearly everything differs within so many digits.
    one, two = _number(a, _MORE_DIGITS), _number(b, _MORE_DIGITS)
    return one is not None and two is not None and _close(one, two, _MORE_DIGITS - 20)


def _number(expr: Any, digits: int) -> Any:
    """The value as a sympy number, real or complex; None where the expression has no value."""
    found = sp.N(expr, digits)
    parts = found.as_real_imag() if found.is_finite else ()
    return found if parts and all(part.is_Float or part.is_Rational for part in parts) else None


def _close(one: Any, two: Any, digits: int) -> bool:
    size = max(abs(one), abs(two))
    return bool(size == 0 or abs(one - two) <= size * sp.Float(10, digits + 30) ** -digits)
