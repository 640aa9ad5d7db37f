r"""What a mathematical answer says: its kind and its parts, each part an expression of its own.

Value     an expression, with or without a unit: `\frac{1}{2}`, `6\text{ cm}`, `74^\circ`, `50\%`
Based     digits with the base they are written in: `2516_8`
Items     several things: a bare list `1, 2` or a set `\{1, 2\}` in any order, a tuple `(1, 2)`, a ratio `1:2` or a
          sequence with an ellipsis in its own
Interval  `(0, 1]`, and an inequality with one variable alone: `x > 2`, `-2 \le x \le 7`
Union     of intervals and sets
Relation  an equation, inequality, congruence, membership; sides in their order
System    relations that hold together: `cases`, `x = 1, y = 2`, `x = y = 1`
Matrix    rows of expressions
Literal   words, or words and signs: compared as they are written
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Value:
    """`unit`: a known unit, or the words after a number; "" where there is none. `percent`: it stands before a %."""

    expr: Any
    unit: str = ""
    percent: bool = False


@dataclass(frozen=True)
class Based:
    """Digits in a base; the base as digits."""

    digits: str
    base: str


@dataclass(frozen=True)
class Items:
    """`kind`: list, set, tuple, ratio, or sequence: a list with an ellipsis."""

    kind: str
    parts: tuple[Reading, ...]


@dataclass(frozen=True)
class Interval:
    """`brackets`: the two signs. `variable`: whose values they are, "" where it is not said."""

    brackets: str
    low: Any
    high: Any
    variable: str = ""


@dataclass(frozen=True)
class Union:
    """In any order."""

    parts: tuple[Reading, ...]
    variable: str = ""


@dataclass(frozen=True)
class Relation:
    """`signs` stand between the `sides`. `modulus` of a congruence, as it is written."""

    signs: tuple[str, ...]
    sides: tuple[Reading, ...]
    modulus: Reading | None = None


@dataclass(frozen=True)
class System:
    """Relations in any order."""

    relations: tuple[Reading, ...]


@dataclass(frozen=True)
class Matrix:
    """Rows of readings."""

    rows: tuple[tuple[Reading, ...], ...]


@dataclass(frozen=True)
class Literal:
    """Words and signs, without spaces, marks and case of words."""

    text: str


UNSAID = "?"  # what `1 \pmod 4` leaves unsaid: of which variable it speaks
Reading = Value | Based | Items | Interval | Union | Relation | System | Matrix | Literal
