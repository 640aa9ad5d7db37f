"""Ends of sentences and paragraphs in mathematical text, as character positions.

A position inside a formula (`$...$`, `$$...$$`, `\\(...\\)`, `\\[...\\]`, `\\begin...\\end`) or a code fence
is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARK = re.compile(
    r"^[ \t]*(```|~~~)[^\n]*$|\\[\[\]()]|\\(?:begin|end)\{[^{}\n]*\}|\\.|\$\$|\$|\n[ \t]*\n", re.MULTILINE | re.DOTALL
)
_CLOSER = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]", "```": "```", "~~~": "~~~"}

# After the last closing quote or bracket; a line's end belongs to the sentence before it. A run of marks or blanks is
# read once: no quantifier gives back what it took, and no match begins inside a run.
_SENTENCE_END = re.compile(
    r"""(?P<mark>(?<![.!?])[.!?]++)["'”’)\]*_]*+(?=\s)(?:[ \t]*+\n)*+|"""
    r"""[。！？]++[”’」』）]*+(?:[ \t]*+\n)*+|\n(?:[ \t]*+\n)*+"""
)
_PARAGRAPH_END = re.compile(r"\n(?:[ \t]*\n)+")
_WORD = re.compile(r"[A-Za-z.]+$")
_LIST_NUMBER = re.compile(r"^[ \t*(]*+\d++[ \t*(]*+\Z", re.MULTILINE)
# These never end a sentence. Other abbreviations ("etc.") are recognised by the lower-case letter that follows.
_ABBREVIATIONS = {
    "e.g", "i.e", "cf", "vs", "viz", "al", "resp", "dr", "mr", "mrs", "ms", "prof", "st", "fig", "figs", "eq", "eqs",
    "sec", "ch", "thm", "lem", "prop", "cor", "def", "ex",
}  # fmt: skip


def sentence_ends(text: str) -> list[int]:
    """Positions (ascending) after the sentences of `text`. The end of a line also ends a sentence."""
    return list(_outside(text, (m.end() for m in _SENTENCE_END.finditer(text) if not _continues(text, m))))


def paragraph_ends(text: str) -> list[int]:
    """Positions (ascending) after the blank lines that end paragraphs."""
    return list(_outside(text, (m.end() for m in _PARAGRAPH_END.finditer(text))))


def protected(text: str) -> list[tuple[int, int]]:
    """Formulas and code fences, as (start, end) in the text. A `$` without a closing `$` in its paragraph is money."""
    spans: list[tuple[int, int]] = []
    opener, start = "", 0
    for match in _MARK.finditer(text):
        mark = match[1] or match[0]
        if opener and mark == _closer(opener) and (mark != "$" or _closes(text, match.start())):
            spans.append((start, match.end()))
            opener = ""
        elif opener in ("", "$") and _opens(text, mark, match.end()):
            opener, start = mark, match.start()
        elif opener in ("$", r"\(") and mark.startswith("\n"):
            opener = ""
    if opener and opener != "$":
        spans.append((start, len(text)))
    return spans


def _closer(opener: str) -> str:
    return _CLOSER.get(opener) or opener.replace(r"\begin", r"\end")


def _opens(text: str, mark: str, after: int) -> bool:
    if mark == "$":
        return after < len(text) and not text[after].isspace()
    return mark in _CLOSER or mark.startswith(r"\begin")


def _closes(text: str, at: int) -> bool:
    return not text[at - 1].isspace() and not text[at + 1 : at + 2].isdigit()


def _continues(text: str, match: re.Match[str]) -> bool:
    """Whether the full stop at `match` is one of an abbreviation, an initial or a list's number."""
    if match["mark"] != "." or text[match.end() - 1] == "\n":
        return False
    at = match.start()
    rest = text[match.end() : match.end() + 8].lstrip()
    if rest[:1].islower():
        return True
    if _LIST_NUMBER.search(text, max(0, at - 64), at):
        return True
    word = _WORD.search(text, max(0, at - 16), at)
    if word is None:
        return False
    if word[0] in ("No", "Nos"):
        return rest[:1].isdigit()
    return word[0].lower().strip(".") in _ABBREVIATIONS or (len(word[0]) == 1 and word[0].isupper())


def _outside(text: str, places: Iterator[int]) -> Iterator[int]:
    spans = iter(protected(text))
    start, end = next(spans, (len(text), len(text)))
    for place in places:
        while end <= place and start < len(text):
            start, end = next(spans, (len(text), len(text)))
        if not start < place < end:
            yield place
