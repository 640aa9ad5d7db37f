"""The tokens of one expression: numbers as exact rationals, commands, letters and signs as texts."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

_NUMBER = re.compile(r"\d+(?:(?:\{,\}|~)\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+")
_REPEATING = re.compile(
    r"(\d*)\.(\d*)\\(?:overline|bar|dot)(?:\{(\d+)\}|(\d))|(\d*)\.(\d*?)(\d{1,9}?)\7{2,}(?:\\(?:ldots|dots|cdots)|\.\.\.)"
)
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]|\S")
_WORDS = re.compile(
    r"(?<![\\A-Za-z])(arcsin|arccos|arctan|sqrt|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp|abs|floor|ceil|pi|binom)"
    r"(?![A-Za-z])"
)


def tokens(text: str) -> list[Any]:
    """In their order; spaces are left out, and functions that are typed without a backslash get one."""
    text = _WORDS.sub(r"\\\1 ", text.replace("**", "^"))
    found: list[Any] = []
    place = 0
    while place < len(text):
        if text[place] in " \t\n~":
            place += 1
        elif repeating := _REPEATING.match(text, place):
            found.append(_periodic(repeating))
            place = repeating.end()
        elif number := _NUMBER.match(text, place):
            found.append(sp.Rational(str(Fraction(re.sub(r"[{},~]", "", number[0])))))
            place = number.end()
        else:
            token = _TOKEN.match(text, place)
            assert token is not None
            if token[0] not in (r"\,", r"\;", r"\:", r"\ ", r"\quad", r"\qquad", r"\limits"):
                found.append(token[0])
            place = token.end()
    return found


def _periodic(match: re.Match[str]) -> Any:
    """The value of a decimal whose last digits repeat for ever."""
    whole, fixed, period = (
        (match[1], match[2], match[3] or match[4]) if match[5] is None else (match[5], match[6], match[7])
    )
    fixed, period = fixed or "", period
    scale = 10 ** len(fixed)
    return sp.Rational(int((whole or "0") + fixed or "0"), scale) + sp.Rational(
        int(period), scale * (10 ** len(period) - 1)
    )
