"""Countdown: make an expression out of given numbers, each used once, that is worth the target.

Which split a problem may belong to is decided by a hash of its numbers and target, so that no two splits share a
problem, whatever the seeds.
"""

from __future__ import annotations

import ast
import hashlib
import operator
import random
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

from sveb.suite.records import ProblemRecord

# Shares of the hash space, in percent: [from, to).
SPLITS = {"test": (0, 20), "train": (20, 100)}
TIERS = {3: "three", 4: "four"}
TARGETS = range(10, 200)

# Products and quotients rarely give a target: drawn more often, they still are the rarer ones.
_WEIGHTS = {"+": 1, "-": 1, "*": 3, "/": 9}

_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
# As people and models write them.
_SPELLINGS = (
    (r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\(?:times|cdot)|[×·]", "*"),
    (r"\\div|÷", "/"),
    (r"\\(?:left|right)", ""),
    (r"\\[!,;: ]|[$\s]", ""),
    ("[−–]", "-"),
    (r"=[^=]*$", ""),
    (r"(?<=[0-9)])\(", "*("),
)
_LONGEST = 120


def problems(split: str, n: int, seed: int) -> list[ProblemRecord]:
    """The first `n` problems of a split; problem i depends on (seed, split, i) alone.

    Raises ValueError for a split that is neither "train" nor "test".
    """
    if split not in SPLITS:
        raise ValueError(f"countdown has the splits {', '.join(sorted(SPLITS))}; found {split!r}")
    return [problem(split, i, seed) for i in range(n)]


def problem(split: str, i: int, seed: int) -> ProblemRecord:
    """Problem i of a split: expressions are drawn until one belongs to it."""
    rng = random.Random(f"countdown/{seed}/{split}/{i}")
    while True:
        numbers = [rng.randint(2, 25) if rng.random() < 0.6 else rng.randint(26, 99) for _ in range(rng.choice((3, 4)))]
        text, value = _draw_expression(numbers, rng)
        if set(text) & set("-*/") and value in TARGETS and split_of(numbers, int(value)) == split:
            break
    target = int(value)
    shown = sorted(numbers, key=lambda _: rng.random())
    listed = ", ".join(map(str, shown[:-1])) + f" and {shown[-1]}"
    return ProblemRecord(
        problem_id=f"countdown-{split}-{i:05d}",
        question=f"Use each of the numbers {listed} once, with +, -, * and / and parentheses, "
        f"to make an expression that equals {target}.",
        answer=text,
        tier=TIERS[len(numbers)],
        extras={"numbers": shown, "target": target},
    )


def split_of(numbers: list[int], target: int) -> str:
    """The only split that may hold these numbers with this target."""
    percent = int.from_bytes(hashlib.sha256(f"{sorted(numbers)}{target}".encode()).digest()[:8], "big") % 100
    return next(split for split, (low, high) in SPLITS.items() if low <= percent < high)


def grade(problem: ProblemRecord, answer: str) -> float | None:
    """1.0 if `answer` uses exactly the problem's numbers and is worth its target, else 0.0.

    None if the problem does not hold them. The answer is parsed, never run.
    """
    numbers, target = problem.extras.get("numbers"), problem.extras.get("target")
    if not numbers or target is None:
        return None
    used: list[int] = []
    try:
        value = _value(_parse(answer), used)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return 0.0
    return float(value == target and Counter(used) == Counter(numbers))


def altered(problem: ProblemRecord) -> str:
    """An answer that is wrong: the reference, and one more."""
    return f"{problem.answer}+1"


def _parse(answer: str) -> ast.expr:
    for spelling, meaning in _SPELLINGS:
        answer = re.sub(spelling, meaning, answer)
    # What is longer than any solution needs no parser, and could exhaust it.
    if len(answer) > _LONGEST or not re.fullmatch(r"[0-9+\-*/()]+", answer):
        raise ValueError("no expression of numbers")
    return ast.parse(answer, mode="eval").body


def _value(node: ast.expr, used: list[int]) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, used), _value(node.right, used))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, used)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        used.append(node.value)
        return Fraction(node.value)
    raise ValueError("no expression of numbers")


def _draw_expression(numbers: list[int], rng: random.Random) -> tuple[str, Fraction]:
    """Joins the numbers two by two, in any order, with any operation whose result is a positive integer."""
    terms = [(str(n), Fraction(n)) for n in numbers]
    while len(terms) > 1:
        rng.shuffle(terms)
        (a, x), (b, y) = terms.pop(), terms.pop()
        results = {"+": x + y, "-": x - y, "*": x * y, "/": x / y}
        signs = [sign for sign, value in results.items() if value > 0 and value.denominator == 1]
        sign = rng.choices(signs, [_WEIGHTS[sign] for sign in signs])[0]
        terms.append((f"({a}{sign}{b})", results[sign]))
    text, value = terms[0]
    return text[1:-1], value
