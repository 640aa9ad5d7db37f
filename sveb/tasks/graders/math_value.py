"""One expression with what people write around it: a unit, money, percent, degrees, a remark."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from sveb.tasks.graders.math_bounds import UnreadableError
from sveb.tasks.graders.math_expression import expression
from sveb.tasks.graders.math_kinds import Items, Literal, Reading, Value
from sveb.tasks.graders.math_notation import TEXT_SIGN, THOUSANDS, WORD_RUN, literal
from sveb.tasks.graders.measure_units import canonical, unit_of

_MOST_WORDS = 12
_DEGREE = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ|\{\s*\\degree\s*\}|\\degree)(?![a-zA-Z])|\\degree(?![a-zA-Z])")
_CURRENCY = re.compile(r"\\\$|[€£¥]|(?<!\S)\$(?=\d)")
_MONEY = {"€": "euro", "£": "pound sterling", "¥": "yen"}


def value(text: str) -> Reading:
    r"""A `Value`; words as a `Literal`; `a \pm b` as a list of two."""
    if re.search(r"\\(?:pm|mp)(?![a-zA-Z])", text):
        one = re.sub(r"\\pm(?![a-zA-Z])", "+", re.sub(r"\\mp(?![a-zA-Z])", "-", text))
        other = re.sub(r"\\pm(?![a-zA-Z])", "-", re.sub(r"\\mp(?![a-zA-Z])", "+", text))
        return Items("list", (value(one), value(other)))
    words = " ".join(match[1] for match in WORD_RUN.finditer(text))
    currency = _CURRENCY.search(text)
    rest = _CURRENCY.sub(" ", text)
    money = _MONEY.get(currency[0], "dollar") if currency else ""
    degrees = bool(_DEGREE.search(rest)) and not re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", rest)
    if degrees:
        rest = _DEGREE.sub(" ", rest, count=1) if len(_DEGREE.findall(rest)) == 1 else rest
    percent = bool(re.search(r"\\?%", rest))
    rest = re.sub(r"\\?%[ ~]*$", "", rest.rstrip(" ~"))
    unit, bare = _unit(rest)
    if bare is not None:
        named = "deg" if degrees else unit or money
        if not (named in ("deg", "") and degrees and unit) or unit == "deg":
            try:
                percent = percent or unit == "percent"
                return Value(expr(bare), "" if unit == "percent" else named, percent)
            except UnreadableError:
                if not words:
                    raise
        elif unit:
            return Value(expr(bare), f"deg {unit}", percent)
    if words:
        if len(words.split()) > _MOST_WORDS:
            raise UnreadableError("it is a sentence")
        return Literal(literal(text))
    if "\\" not in text and re.fullmatch(r"[A-Za-z][A-Za-z .'-]+", text) is not None and " " in text:
        return Literal(literal(text))
    return Value(expr(rest), "deg" if degrees else money, percent)


def _unit(text: str) -> tuple[str, str | None]:
    """The words that follow an expression, in one form; and the expression, None where words stand elsewhere."""
    runs = list(WORD_RUN.finditer(text))
    if not runs:
        return "", text
    first = runs[0]
    bare, after = text[: first.start()].strip(" ~"), text[first.start() :]
    remark = re.fullmatch(
        rf"[ ~]*{TEXT_SIGN}[ ~]*\(?\s*"
        rf"(?:approx\.?|approximately|about|exactly|total|in total)\s*\)?[ ~]*{TEXT_SIGN}[ ~]*",
        after,
    )
    if remark and bare:
        return "", bare
    if not bare:
        lead = re.fullmatch(
            rf"[ ~]*{TEXT_SIGN}[ ~]*"
            rf"(?:approximately|about|exactly|the answer is|answer:?|roughly)[ ~]*{TEXT_SIGN}(.+)",
            text,
            re.IGNORECASE,
        )
        return _unit(lead[1]) if lead and re.search(r"\d", lead[1]) else ("", None)
    if not re.search(r"\d|\\pi|\\sqrt|\\frac|[)}]$", bare):
        return "", None
    words = re.sub(rf"[{TEXT_SIGN}~^{{}}()]|\\cdot(?![a-zA-Z])", " ", after).strip()
    if not re.fullmatch(r"[A-Za-z /.\-0-9'*]*", words) or re.search(
        r"\b(?:and|or|if|where|for|when|not|to|mod|base)\b", words
    ):
        return "", None
    known = unit_of(words)
    if re.search(r"(?<![A-Za-z^ ])\d{2}", words):
        return "", None
    if known is not None:
        return known, bare
    if re.search(r"\d", words):
        return "", None
    return (
        "percent" if words.lower() in ("percent", "per cent") else " ".join(canonical(word) for word in words.split())
    ), bare


def expr(text: str) -> Any:
    """The sympy expression without a unit. Raises UnreadableError, TooLargeError."""
    text = text.strip(" ~")
    text = THOUSANDS.sub(lambda match: match[1].replace(",", "{,}"), text)
    if re.fullmatch(r"-\s*\\infty", text):
        return -sp.oo
    if re.fullmatch(r"\+?\s*\\infty", text):
        return sp.oo
    if TEXT_SIGN in text:
        raise UnreadableError("it holds words")
    return expression(text)
