"""Writes solutions of ledger problems, as varied and as fallible as the embedded policy should be.

The teacher keeps a pool of signed terms and empties it line by line:

    2*27=54          a product, at once ...
    4*40=160         ... or by tens
    4*5=20           and ones
    20+160=180       any two values, in any order
    wait 2*27=54     a line done again: to check it, or to correct a wrong one
    ...
    190/20=9         full trays, if the question asks for them
    #### 9

Free order, mistakes that are noticed late, and questions that forgive small errors are what gives the policy's
states graded values: with a forced chain of steps and no corrections nearly every state is worth 0 or 1.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Term = tuple[int, int, int]  # sign, factor, factor; a value has the second factor 1
Pool = tuple[Term, ...]


@dataclass(frozen=True)
class Habits:
    """Probabilities of what the teacher does."""

    first_operation: float = 0.6  # take the first available operation, else any
    split_product: float = 0.5  # multiply by tens and ones, per product that can be split
    split_hard_product: float = 0.75  # the same where both factors have two digits
    mistake: float = 0.025  # per line
    hard_mistake: float = 0.08  # per line that multiplies two factors of two digits
    notice_at_once: float = 0.6  # per wrong line
    notice_later: float = 0.3  # per wrong line and later line
    check: float = 0.03  # do a right line again


@dataclass(frozen=True)
class Operation:
    """A possible line: its expression and right value, and what it leaves in the pool next to its result."""

    expression: str
    value: int
    rest: Pool
    sign: int = 1
    is_hard: bool = False
    is_division: bool = False


@dataclass(frozen=True)
class Line:
    """A line that was written: an operation and the value that it claims."""

    operation: Operation
    value: int

    @property
    def is_wrong(self) -> bool:
        return self.value != self.operation.value

    @property
    def pool(self) -> Pool:
        """The pool after this line."""
        return (*self.operation.rest, (self.operation.sign, self.value, 1))


def write_solution(terms: Iterable[Sequence[int]], tray: int | None, rng: random.Random, habits: Habits) -> str:
    """A solution of the problem `terms`, `tray` (see tasks/ledger/task.py), ending in its `#### answer` line."""
    return _Writer(tuple((sign, a, b) for sign, a, b in terms), tray, rng, habits).write()


class _Writer:
    def __init__(self, terms: Pool, tray: int | None, rng: random.Random, habits: Habits) -> None:
        self.terms, self.tray, self.rng, self.habits = terms, tray, rng, habits
        self.lines: list[Line] = []  # those that still count, oldest first
        self.text = ""

    @property
    def pool(self) -> Pool:
        return self.lines[-1].pool if self.lines else self.terms

    def write(self) -> str:
        just_checked = False
        while True:
            noticed = self._first_noticed(just_checked)
            if noticed is not None:
                self._redo(noticed)
            elif self.lines and not just_checked and self.rng.random() < self.habits.check:
                self.text += f"wait {self.lines[-1].operation.expression}={self.lines[-1].value}\n"
                just_checked = True
                continue
            elif (operation := self._choose()) is not None:
                self._append(operation)
            elif len(self.pool) == 1 and self.pool[0][0] > 0:
                return f"{self.text}#### {self.pool[0][1]}"
            else:  # more is taken away than there is: some line must be wrong
                self._redo(next(i for i, line in enumerate(self.lines) if line.is_wrong))
            just_checked = False

    def _first_noticed(self, just_checked: bool) -> int | None:
        for i, line in enumerate(self.lines):
            is_fresh = i == len(self.lines) - 1 and not just_checked
            rate = self.habits.notice_at_once if is_fresh else self.habits.notice_later
            if line.is_wrong and self.rng.random() < rate:
                return i
        return None

    def _redo(self, i: int) -> None:
        """Does line i again; whatever was written after it no longer counts."""
        operation = self.lines[i].operation
        self.lines = self.lines[:i]
        self.text += "wait "
        self._append(operation)

    def _append(self, operation: Operation) -> None:
        rate = self.habits.hard_mistake if operation.is_hard else self.habits.mistake
        value = operation.value
        if self.rng.random() < rate:
            value = _slip(value, self.rng)
        self.text += f"{operation.expression}={value}\n"
        self.lines.append(Line(operation, value))

    def _choose(self) -> Operation | None:
        """The next operation, or None if there is nothing to do, or nothing that can be done."""
        pool = self.pool
        if len(pool) == 1 and pool[0][2] == 1:
            is_done = self.tray is None or (bool(self.lines) and self.lines[-1].operation.is_division)
            if is_done or pool[0][0] < 0:
                return None
            return Operation(f"{pool[0][1]}/{self.tray}", pool[0][1] // (self.tray or 1), (), is_division=True)
        products = [i for i, (_, _, b) in enumerate(pool) if b > 1]
        pairs = [(i, j) for j in range(len(pool)) for i in range(j) if _can_combine(pool[i], pool[j])]
        options: list[int | tuple[int, int]] = [*products, *pairs]
        if not options:
            return None
        choice = options[0] if self.rng.random() < self.habits.first_operation else self.rng.choice(options)
        if isinstance(choice, tuple):
            return self._combine(*choice)
        return self._multiply(choice)

    def _combine(self, i: int, j: int) -> Operation:
        pool = self.pool
        first, second = pool[i], pool[j]
        rest = tuple(term for k, term in enumerate(pool) if k not in (i, j))
        if first[0] != second[0]:
            more, less = (first[1], second[1]) if first[0] > 0 else (second[1], first[1])
            return Operation(f"{more}-{less}", more - less, rest)
        if self.rng.random() < 0.5:
            first, second = second, first
        return Operation(f"{first[1]}+{second[1]}", first[1] + second[1], rest, first[0])

    def _multiply(self, i: int) -> Operation:
        sign, a, b = self.pool[i]
        rest = self.pool[:i] + self.pool[i + 1 :]
        is_hard = a > 9 and b > 9 and b % 10 > 0
        parts = _by_tens_and_ones(a, b)
        if parts and self.rng.random() < (self.habits.split_hard_product if is_hard else self.habits.split_product):
            (a, b), other = parts if self.rng.random() < 0.8 else (parts[1], parts[0])
            rest, is_hard = ((sign, *other), *rest), False
        return Operation(f"{a}*{b}", a * b, rest, sign, is_hard)


def _can_combine(first: Term, second: Term) -> bool:
    """Whether both are values and the result is not below zero."""
    if first[2] > 1 or second[2] > 1:
        return False
    if first[0] == second[0]:
        return True
    return first[1] * first[0] + second[1] * second[0] >= 0


def _by_tens_and_ones(a: int, b: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Two products that make a*b together, or None where that would not help."""
    if b > 9 and b % 10 > 1:
        return (a, b - b % 10), (a, b % 10)
    if a > 9 and a % 10 > 0 and 1 < b <= 9:
        return (a - a % 10, b), (a % 10, b)
    return None


def _slip(value: int, rng: random.Random) -> int:
    """A wrong value: one digit is off, mostly by one."""
    place: int = 10 ** rng.randrange(len(str(value)))
    step = place * rng.choice((1, 1, 1, 1, 2, 3))
    return value - step if value >= step and rng.random() < 0.5 else value + step
