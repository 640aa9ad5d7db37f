"""Answers that can be compared on the spot: numbers, options, yes and no.

A comparison gives 1.0 or 0.0, or None where the reference itself cannot be read: *missing*, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

Compare = Callable[[str, str], float | None]

_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|bf)\s*\{([^{}]*)\}")
_TRUE, _FALSE = ("yes", "true"), ("no", "false")


def parse_number(text: str) -> Decimal | None:
    r"""A plain number, with what people write around it (`\$1,234.50`, `75\%`, `18\text{ eggs}`); else None."""
    plain = re.sub(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}|\\[!,;: ]|\\?[$%]|\s", "", text).rstrip(".")
    if not re.fullmatch(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?", plain):
        return None
    try:
        return Decimal(plain.replace(",", ""))
    except InvalidOperation:
        return None


def parse_option(text: str) -> str | None:
    r"""The letter of an option (`B`, `(b)`, `B.`, `\text{(B)}`, `(B) the owl`) in upper case; else None.

    A letter without a bracket or a mark stands alone: `A dog` names no option.
    """
    plain = _TEXT.sub(r"\1", text).strip().strip("$*").strip()
    match = re.match(r"\(\s*([A-Za-z])\s*\)|\[\s*([A-Za-z])\s*\]|([A-Za-z])\s*(?:[).:]|$)", plain)
    return None if match is None else next(letter for letter in match.groups() if letter).upper()


def parse_boolean(text: str) -> bool | None:
    r"""True for yes or true, False for no or false (`Yes.`, `\text{no}`, any case); else None."""
    plain = _TEXT.sub(r"\1", text).strip().strip("$*").strip().rstrip(".!").casefold()
    return True if plain in _TRUE else False if plain in _FALSE else None


def same_number(answer: str, found: str) -> float | None:
    """1.0 if both are the same number; 0.0 if `found` is another or none; None if `answer` itself is no number."""
    return _same(parse_number(answer), parse_number(found))


def same_option(answer: str, found: str) -> float | None:
    """1.0 if both name the same option; 0.0 if `found` names another or none; None if `answer` names none."""
    return _same(parse_option(answer), parse_option(found))


def same_boolean(answer: str, found: str) -> float | None:
    """1.0 if both say the same; 0.0 if `found` says the other or neither; None if `answer` is not yes or no."""
    return _same(parse_boolean(answer), parse_boolean(found))


def _same(gold: object, found: object) -> float | None:
    return None if gold is None else float(found == gold)


COMPARERS: dict[str, Compare] = {"number": same_number, "option": same_option, "boolean": same_boolean}
