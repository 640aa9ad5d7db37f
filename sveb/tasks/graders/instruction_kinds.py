"""The kinds of instruction that the grader `instructions` knows, each with its exact rule.

After IFEval (Zhou et al., 2023, arXiv 2311.07911) and IFBench (Pyatkin et al., 2025, arXiv 2507.02833); the rules are
those of docs/instruct.md. A rule says whether a response keeps the instruction. It never raises, on any text, and takes
time linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from sveb.tasks.graders.response_text import ResponseText, last_mark, occurrence, words_of

FAMILIES = ("length", "sentences", "keywords", "letters", "format", "start and end", "punctuation", "case")

_COMMAS = re.compile("[,،，、]")
_DIGITS = re.compile(r"(?<!\d)(?<!\d[.,])\d")  # the first digit of each number
_BOLD = re.compile(r"\*\*([^*\n]++)\*\*")
_PARENTHESES = re.compile(r"\(([^()\n]++)\)")
_TITLE = re.compile(r"\[([^\[\]\n]++)\]")
_QUOTES = (("“", "”"), ('"', '"'))


@dataclass(frozen=True)
class Kind:
    """A kind of instruction. `arguments` are the types of what it is told; `holds(text, *arguments)` is its rule.

    Words and letters are given in lower case.
    """

    family: str
    arguments: tuple[type[int] | type[str], ...]
    holds: Callable[..., bool]


def _lengths(t: ResponseText) -> list[int]:
    return [len(words_of(sentence)) for sentence in t.sentences]


def _first_words(t: ResponseText) -> list[str]:
    return [words_of(sentence)[0] for sentence in t.sentences]


def _in_order(t: ResponseText, first: str, second: str) -> bool:
    found = occurrence(first).search(t.text)
    return found is not None and occurrence(second).search(t.text, found.end()) is not None


def _has(sentences: list[str], word: str) -> bool:
    return bool(sentences) and all(occurrence(word).search(sentence) for sentence in sentences)


def _quoted(t: ResponseText) -> bool:
    return any(
        len(t.text) > 1 and t.text.startswith(left) and t.text.endswith(right) and not set(t.text[1:-1]) & {left, right}
        for left, right in _QUOTES
    )


def _numbered(t: ResponseText, n: int) -> bool:
    return len(t.numbers_of_items) == n and t.numbers_of_items == list(range(1, len(t.numbers_of_items) + 1))


def _title(t: ResponseText) -> bool:
    title = _TITLE.fullmatch(t.lines[0].strip("*# ")) if len(t.lines) > 1 else None
    return title is not None and bool(words_of(title[1]))


def _remarks(t: ResponseText) -> int:
    return sum(bool(words_of(content)) for content in _PARENTHESES.findall(t.text))


def _longest_word(t: ResponseText) -> int:
    return max((sum(map(str.isalpha, part)) for word in t.words for part in re.split("[-‐‑/]", word)), default=0)


def _capitalised(t: ResponseText, word: str) -> bool:
    found = occurrence(word).findall(t.text)
    return bool(found) and all(each == word.upper() for each in found)


def _capital_words(t: ResponseText) -> int:
    chunks = re.findall(r"[^\W\d_]{2,}+", t.text)
    return sum(chunk.isupper() for chunk in chunks)


KINDS: dict[str, Kind] = {
    # length
    "words_at_most": Kind("length", (int,), lambda t, n: len(t.words) <= n),
    "words_at_least": Kind("length", (int,), lambda t, n: len(t.words) >= n),
    "words_between": Kind("length", (int, int), lambda t, low, high: low <= len(t.words) <= high),
    "characters_at_most": Kind("length", (int,), lambda t, n: len(t.text) <= n),
    # sentences
    "sentences_exactly": Kind("sentences", (int,), lambda t, n: len(t.sentences) == n),
    "sentence_words_at_most": Kind("sentences", (int,), lambda t, n: 0 < max(_lengths(t), default=0) <= n),
    "sentence_words_at_least": Kind("sentences", (int,), lambda t, n: min(_lengths(t), default=0) >= n),
    "sentences_grow": Kind("sentences", (int,), lambda t, n: len(t.sentences) >= n and all(
        shorter < longer for shorter, longer in pairwise(_lengths(t)))),
    "paragraphs_exactly": Kind("sentences", (int,), lambda t, n: len(t.paragraphs) == n),
    # keywords
    "has_words": Kind("keywords", (str, str), lambda t, *words: all(map(t.count, words))),
    "word_at_least": Kind("keywords", (str, int), lambda t, word, n: t.count(word) >= n),
    "word_exactly": Kind("keywords", (str, int), lambda t, word, n: t.count(word) == n),
    "without_word": Kind("keywords", (str,), lambda t, word: t.count(word) == 0),
    "words_in_order": Kind("keywords", (str, str), _in_order),
    "first_sentence_has": Kind("keywords", (str,), lambda t, word: _has(t.sentences[:1], word)),
    "last_sentence_has": Kind("keywords", (str,), lambda t, word: _has(t.sentences[-1:], word)),
    "every_sentence_has": Kind("keywords", (str,), lambda t, word: _has(t.sentences, word)),
    # letters
    "without_letter": Kind("letters", (str,), lambda t, letter: letter not in t.text.casefold()),
    "letter_at_least": Kind("letters", (str, int), lambda t, letter, n: t.text.casefold().count(letter) >= n),
    "words_begin_at_least": Kind("letters", (str, int), lambda t, letter, n: sum(
        word.startswith(letter) for word in t.words) >= n),
    "word_letters_at_most": Kind("letters", (int,), lambda t, n: 0 < _longest_word(t) <= n),
    # format
    "bullets_exactly": Kind("format", (int,), lambda t, n: t.bullets == n),
    "numbered_exactly": Kind("format", (int,), _numbered),
    "lines_exactly": Kind("format", (int,), lambda t, n: len(t.lines) == n),
    "title": Kind("format", (), _title),
    "bold_at_least": Kind("format", (int,), lambda t, n: sum(
        len(words_of(content)) for content in _BOLD.findall(t.text)) >= n),
    "parentheses_at_least": Kind("format", (int,), lambda t, n: _remarks(t) >= n),
    "numbers_at_least": Kind("format", (int,), lambda t, n: len(_DIGITS.findall(t.unmarked)) >= n),
    # start and end
    "begins_with": Kind("start and end", (str,), lambda t, word: t.words[:1] == [word]),
    "ends_with": Kind("start and end", (str,), lambda t, word: t.words[-1:] == [word]),
    "first_letter": Kind("start and end", (str,), lambda t, letter: "".join(t.words[:1]).startswith(letter)),
    "sentences_begin_with": Kind("start and end", (str,), lambda t, word: set(_first_words(t)) == {word}),
    "quoted": Kind("start and end", (), _quoted),
    # punctuation
    "without_commas": Kind("punctuation", (), lambda t: not _COMMAS.search(t.text)),
    "commas_at_least": Kind("punctuation", (int,), lambda t, n: len(_COMMAS.findall(t.text)) >= n),
    "ends_with_question": Kind("punctuation", (), lambda t: t.last_mark in ("?", "？")),
    "questions_exactly": Kind("punctuation", (int,), lambda t, n: len(re.findall("[?？]", t.text)) == n),
    "exclamations_only": Kind("punctuation", (), lambda t: {last_mark(part) for part in t.sentences} in (
        {"!"}, {"！"})),
    "semicolons_at_least": Kind("punctuation", (int,), lambda t, n: t.text.count(";") >= n),
    # case
    "lower_case": Kind("case", (), lambda t: not any(map(str.isupper, t.text))),
    "upper_case": Kind("case", (), lambda t: not any(map(str.islower, t.text))),
    "word_in_capitals": Kind("case", (str,), _capitalised),
    "capital_words_at_least": Kind("case", (int,), lambda t, n: _capital_words(t) >= n),
}  # fmt: skip
