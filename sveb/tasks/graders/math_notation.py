"""One notation for what has several; words stand between signs of their own; parts at their separators."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sveb.tasks.graders.math_bounds import TooLargeError, UnreadableError
from sveb.tasks.graders.measure_units import is_unit
from sveb.tasks.graders.written import LINE_ENDS, LONGEST, SPACE, STYLE, balanced, signs

_MOST_READ = 2**16  # characters: what is longer is not looked at
_TYPE = re.compile(
    r"\\(?:mathbf|mathit|mathsf|mathnormal|boldsymbol|bm|boxed|fbox|underline|emph|ensuremath|displaystyle|mathcal)\s*(?=\{)"
)
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|textsf|textnormal|mbox|hbox|mathrm|operatorname)\s*\{([^{}]*)\}")
TEXT_SIGN = "\x02"  # stands before and after a run of words
WORD_RUN = re.compile(rf"{TEXT_SIGN}([^{TEXT_SIGN}]*){TEXT_SIGN}")
_BARE_WORDS = re.compile(
    r"(?<![\\A-Za-z_^{])[A-Za-z]{4,}(?:[ -]+[A-Za-z]+)*|"
    r"(?<![\\A-Za-z])(?:and|or|for|if|all|odd|cm|km|mm|kg|the|yes|no|in|is)(?![A-Za-z])"
)
_ASCII = frozenset(["arcsin", "arccos", "arctan", "sqrt", "sinh", "cosh", "tanh", "binom", "floor", "ceil"])
_BRACKETED_ARRAY = re.compile(r"\A[(\[]\s*\\begin\{array\}(?:\{[lcr|]*\})?(.*)\\end\{array\}\s*[)\]]\Z", re.DOTALL)
# `]0, 1[` for `(0, 1)`
_OPEN_ENDS = re.compile(r"([\[\]])(\s*[^\[\](){},\s][^\[\](){},]*,\s*[^\[\](){},\s][^\[\](){},]*)([\[\]])")
THOUSANDS = re.compile(r"(?<![\d.,}])(\d{1,3}(?:,\d{3})+)(?![\d,])")


def clean(text: str) -> str:
    """One notation for what has several; words stand between signs of their own."""
    text = text.strip()
    if len(text) > _MOST_READ:
        raise TooLargeError(f"it is longer than {_MOST_READ} characters")
    if len(text) > LONGEST:
        raise UnreadableError(f"it is longer than {LONGEST} characters")
    if not balanced(text):
        raise UnreadableError("its braces do not balance")
    text = re.sub(r",\s*\\!\s*", "{,}", signs(text))
    text = re.sub(r"\\ddfrac|\\[dtc]frac", r"\\frac", STYLE.sub("", LINE_ENDS.sub("", text)))
    text = _TYPE.sub("", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text) if text.startswith("**") else text
    text = re.sub(r"\\langle(?![a-zA-Z])", "(", re.sub(r"\\rangle(?![a-zA-Z])", ")", text))
    text = _outside_dollars(_OPEN_ENDS.sub(_round, text))
    if not text.rstrip(" .").endswith(r"\}"):  # the brace of a system closes nowhere
        text = re.sub(r"^\\\{\s*(?=\\begin)", "", text)
    text = _BRACKETED_ARRAY.sub(r"\\begin{pmatrix}\1\\end{pmatrix}", text)
    text = SPACE.sub("~", text)
    while (inner := _TEXT.sub(_as_words, text)) != text:
        text = inner
    parts = WORD_RUN.split(text)
    parts[0::2] = [_BARE_WORDS.sub(_as_bare_words, part) for part in parts[0::2]]
    parts[1::2] = [f"{TEXT_SIGN}{part}{TEXT_SIGN}" for part in parts[1::2]]
    text = "".join(parts)
    text = re.sub(rf"{TEXT_SIGN}([\s~]*){TEXT_SIGN}", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" ~")
    while text.endswith((".", ",", ";", ":")) and not text.endswith("..."):
        text = text[:-1].rstrip(" ~")
    while text.startswith("{") and text.endswith("}") and _closes(text, 0) == len(text) - 1:
        text = text[1:-1].strip(" ~")
    return text


def _round(match: re.Match[str]) -> str:
    """An interval with its open ends in round brackets; `[0, 1]` as it is."""
    return {"]": "("}.get(match[1], match[1]) + match[2] + {"[": ")"}.get(match[3], match[3])


def _as_words(match: re.Match[str]) -> str:
    r"""`\text{...}`: a letter or digits alone are mathematics (`\mathrm{e}`, `\text{18}`), a unit is not."""
    inner = match[1].strip().strip("~")
    if is_unit(inner) and re.search(r"[\d})][ ~]*\Z", match.string[max(0, match.start() - 9) : match.start()]):
        return f"{TEXT_SIGN}{inner}{TEXT_SIGN}"
    if len(inner) <= 1 or re.fullmatch(r"-?[\d.,]+|[a-zA-Z]", inner):
        return inner if len(inner) <= 1 and inner else f"{inner} "
    return f"{TEXT_SIGN}{match[1].replace(TEXT_SIGN, '')}{TEXT_SIGN}"


def _as_bare_words(match: re.Match[str]) -> str:
    return match[0] if match[0] in _ASCII else f"{TEXT_SIGN}{match[0]}{TEXT_SIGN}"


def _outside_dollars(text: str) -> str:
    r"""Without delimiters of mathematics; what stands outside of them is words."""
    text = re.sub(r"\\[()\[\]]", "$", re.sub(r"(?<!\\)\$\$", "$", text)) if re.search(r"\\[(\[]|\$", text) else text
    parts = re.split(r"(?<!\\)\$", text)
    if len(parts) == 1:
        return text
    if len(parts) % 2 == 0:  # a lone sign of money
        return text
    words = [
        f"{TEXT_SIGN}{part}{TEXT_SIGN}"
        if place % 2 == 0 and re.search(r"[A-Za-z]{2}", part) and "\\" not in part
        else part
        for place, part in enumerate(parts)
    ]
    return " ".join(words)


def literal(text: str) -> str:
    """Words and signs as they are compared: without spaces and braces, words without marks and case too."""
    text = text.replace(TEXT_SIGN, " ").casefold() if TEXT_SIGN in text else text
    text = re.sub(r"\\(?:text|mathrm)\s*", "", text)
    return (
        re.sub(r"[\s~{}().,;:'\"]", "", text).replace("-", "")
        if not re.search(r"[\d\\+*/^=<>]", text)
        else re.sub(r"[\s~{}]", "", text)
    )


def split(text: str) -> Iterator[str]:
    """At commas, semicolons and connecting words that stand in no brackets."""
    text = THOUSANDS.sub(lambda match: match[1].replace(",", "{,}"), text) if not _long_list(text) else text
    text = WORD_RUN.sub(_connectives, text)
    yield from (part for part in split_at(text, r",(?!\})|;|\x03|\\(?:lor|vee|land|wedge)(?![a-zA-Z])") if part)


def _long_list(text: str) -> bool:
    """Whether commas with three digits after them are a list's: where others have fewer, or a space after."""
    return bool(re.search(r"\d,\s+\S|\d,\d{1,2}(?!\d)", text)) and not re.search(
        r"\d,\d{3}(?!\d)", re.sub(r",\s", "", text)
    )


def _connectives(match: re.Match[str]) -> str:
    """Words between which `and` or `or` joins parts: the parts' own words, and a mark between."""
    pieces = re.split(r",|;|\b(?:and|or)\b", match[1])
    if len(pieces) == 1:
        return match[0]
    return "\x03".join(f"{TEXT_SIGN}{piece}{TEXT_SIGN}" if piece.strip(" ~") else "" for piece in pieces)


def split_at(text: str, pattern: str) -> Iterator[str]:
    yield from (part.strip(" ~") for part in pieces(text, re.compile(pattern)))


def pieces(text: str, separator: re.Pattern[str], keep: bool = False) -> Iterator[str]:
    """The parts between separators that stand in no brackets and no words; with `keep` the separators too."""
    depth, start, place = 0, 0, 0
    in_words = False
    while place < len(text):
        if text[place] == TEXT_SIGN:
            in_words = not in_words
        elif not in_words:
            found = separator.match(text, place) if depth == 0 else None
            if found:
                yield text[start:place]
                if keep:
                    yield found[0]
                start = place = found.end()
                continue
            sign = text[place : place + 2] if text[place] == "\\" else text[place]
            if sign in ("(", "[", "{", r"\{"):
                depth += 1
            elif sign in (")", "]", "}", r"\}"):
                depth = max(0, depth - 1)
            if text.startswith(r"\begin", place):
                depth += 1
            elif text.startswith(r"\end", place):
                depth = max(0, depth - 1)
            place += 1 if len(sign) == 2 and sign[1:].strip() and not sign[1].isalpha() else 0
        place += 1
    yield text[start:]


def _closes(text: str, place: int) -> int:
    """Where the brace at `place` closes."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text[place:]):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return place + match.start()
    return -1
