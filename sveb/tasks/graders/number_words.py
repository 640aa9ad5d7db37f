"""Numbers in words, from `zero` to `ninety-nine`."""

from __future__ import annotations

import re

_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = dict(zip(_SMALL, range(20), strict=True)) | dict(zip(_TENS, range(20, 100, 10), strict=True))
_WORDS = rf"(?:({'|'.join(_TENS)})(?:[- ~]?({'|'.join(_SMALL[1:10])}))?|({'|'.join(_SMALL)}))"
# Where no digits stand: an expression or a list must not change its meaning.
_FIRST = re.compile(
    rf"\A(?=\D*\Z)((?:the (?:final )?answer is:?[ ~]+)?){_WORDS}(?![A-Za-z'-])"
    rf"(?![ ~]+(?:hundred|thousand|million|billion|{'|'.join(_SMALL)})\b)",
    re.IGNORECASE,
)
_WHOLE = re.compile(_WORDS, re.IGNORECASE)


def value_of(text: str) -> int | None:
    """The number that the words say; None for other words."""
    found = _WHOLE.fullmatch(text)
    return _sum(found.groups()) if found else None


def in_digits(text: str) -> str:
    """The text with the number that it begins with in digits: `Twenty-one eggs` as `21 eggs`."""
    return _FIRST.sub(lambda match: match[1] + str(_sum(match.groups()[1:])), text)


def _sum(words: tuple[str | None, ...]) -> int:
    return sum(_VALUES[word.lower()] for word in words if word)
