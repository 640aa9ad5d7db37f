"""Texts that keep given instructions: they show that a prompt can be met, and are the references of its problems."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .draft import Draft

MARKED = ("really", "truly", "surely")
# For each letter that an instruction may ask for, a word that begins with it.
LETTERS = {
    "b": "big", "c": "calm", "f": "fine", "g": "good", "h": "here", "m": "more", "p": "plain", "s": "so", "t": "two",
    "w": "well",
}  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """`write(draft, *arguments)` makes a draft keep an instruction; `spoil(text, *arguments)` breaks it again."""

    write: Callable[..., object]
    spoil: Callable[..., str]


def _without(text: str, word: str) -> str:
    """The text with another word in the place of every occurrence of this one."""
    return re.sub(rf"\b{re.escape(word)}\b", "thing", text, flags=re.IGNORECASE)


def _nothing(_draft: Draft, *_arguments: object) -> None:
    """A draft keeps it already."""


def _rows(draft: Draft, n: int, item: str = "", between: str = "\n") -> None:
    draft.resize(n)
    draft.item, draft.between = item, between


def _in_each(draft: Draft, place: int, word: str) -> None:
    for sentence in draft.sentences:
        sentence.insert(place, word)


def _fill(draft: Draft, letter: str, n: int) -> None:
    while draft.text().casefold().count(letter) < n:
        draft.put(LETTERS[letter])


def _mark(draft: Draft, n: int, mark: str) -> None:
    """Puts a comma or a semicolon behind `n` words."""
    places = [(sentence, i) for sentence in draft.sentences for i in range(2, len(sentence) - 1)]
    for sentence, i in places[:n]:
        sentence[i] += mark


def _grow(draft: Draft, _n: int) -> None:
    for i, sentence in enumerate(draft.sentences[:-1], 1):
        draft.lengthen(i, len(sentence) + 1)


# In the order in which a reference is written: what forbids words first, then what fixes the length of the text.
WRITERS: dict[str, Writer] = {
    "without_letter": Writer(lambda d, letter: d.ban(lambda word: letter in word), lambda t, letter: f"{t} {letter}"),
    "without_word": Writer(lambda d, word: d.ban(lambda other: other == word), lambda t, word: f"{word} {t}"),
    "word_letters_at_most": Writer(_nothing, lambda t, n: f"{'a' * (n + 1)} {t}"),
    "words_at_most": Writer(lambda d, n: d.at_most(lambda t: len(t.split()) + 8, n), lambda t, n: t + " more" * n),
    "words_at_least": Writer(Draft.at_least, lambda t, n: " ".join(t.split()[: n // 3])),
    "words_between": Writer(
        lambda d, low, _high: d.at_least(low),
        lambda t, low, _high: " ".join(t.split()[: low // 2]),
    ),
    "characters_at_most": Writer(lambda d, n: d.at_most(lambda t: len(t) + 50, n), lambda t, n: t + " more" * n),
    "sentences_exactly": Writer(Draft.resize, lambda t, _n: t + "\nOne more sentence is here."),
    "sentence_words_at_most": Writer(lambda d, _n: d.resize(5), lambda t, n: t + "\n" + "again " * (n + 1)),
    "sentence_words_at_least": Writer(
        lambda d, n: [d.lengthen(i, n) for i in range(len(d.sentences))],
        lambda t, _n: t + "\nA short one.",
    ),
    "paragraphs_exactly": Writer(lambda d, n: _rows(d, n, between="\n\n"), lambda t, _n: t + "\n\nOne more is here."),
    "bullets_exactly": Writer(lambda d, n: _rows(d, n, "- "), lambda t, _n: t + "\n- One more."),
    "numbered_exactly": Writer(lambda d, n: _rows(d, n, "{}. "), lambda t, _n: t + "\n9. One more."),
    "lines_exactly": Writer(_rows, lambda t, _n: t + "\nOne more line."),
    "title": Writer(lambda d: setattr(d, "head", "[Notes]\n"), lambda t: t.replace("[", "", 1)),
    "has_words": Writer(Draft.put, lambda t, _a, b: _without(t, b)),
    "word_at_least": Writer(lambda d, word, n: d.put(*[word] * n), lambda t, word, _n: _without(t, word)),
    "word_exactly": Writer(lambda d, word, n: d.put(*[word] * n), lambda t, word, _n: f"{word} {t}"),
    "words_in_order": Writer(
        lambda d, a, b: (d.sentences[0].insert(2, a), d.sentences[-1].insert(3, b)),
        lambda t, a, b: f"{_without(_without(t, b), a)}\n{b} {a}",
    ),
    "first_sentence_has": Writer(Draft.put, _without),
    "last_sentence_has": Writer(lambda d, word: d.sentences[-1].insert(2, word), _without),
    "every_sentence_has": Writer(lambda d, word: _in_each(d, 2, word), lambda t, _word: t + "\nNot this one."),
    "letter_at_least": Writer(_fill, lambda t, letter, _n: re.sub(letter, "", t, flags=re.IGNORECASE)),
    "words_begin_at_least": Writer(
        lambda d, letter, n: d.put(*[LETTERS[letter]] * n),
        lambda t, letter, _n: re.sub(rf"\b{letter}", "x", t, flags=re.IGNORECASE),
    ),
    "bold_at_least": Writer(
        lambda d, n: d.put(*(f"**{word}**" for word in MARKED[:n])),
        lambda t, _n: t.replace("*", ""),
    ),
    "parentheses_at_least": Writer(
        lambda d, n: d.put(*(f"({word})" for word in MARKED[:n])),
        lambda t, _n: t.replace("(", ""),
    ),
    "numbers_at_least": Writer(
        lambda d, n: d.put(*(str(12 * i) for i in range(1, n + 1))),
        lambda t, _n: re.sub(r"\d", "", t),
    ),
    "begins_with": Writer(lambda d, word: d.sentences[0].insert(0, word), lambda t, _word: f"Well {t}"),
    "ends_with": Writer(lambda d, word: d.sentences[-1].append(word), lambda t, _word: f"{t} Or not."),
    "first_letter": Writer(lambda d, letter: d.sentences[0].insert(0, LETTERS[letter]), lambda t, _letter: f"An {t}"),
    "sentences_begin_with": Writer(lambda d, word: _in_each(d, 0, word), lambda t, _word: t + "\nNot this one."),
    "quoted": Writer(lambda d: (setattr(d, "head", '"'), setattr(d, "tail", '"')), lambda t: t[1:]),
    "without_commas": Writer(_nothing, lambda t: f"Yes, {t}"),
    "commas_at_least": Writer(lambda d, n: _mark(d, n, ","), lambda t, _n: t.replace(",", "")),
    "ends_with_question": Writer(lambda d: setattr(d, "last", "?"), lambda t: f"{t} Yes."),
    "questions_exactly": Writer(lambda d, n: setattr(d, "questions", n), lambda t, _n: f"{t}?"),
    "exclamations_only": Writer(lambda d: setattr(d, "mark", "!"), lambda t: t + "\nNot this one."),
    "semicolons_at_least": Writer(lambda d, n: _mark(d, n, ";"), lambda t, _n: t.replace(";", "")),
    "lower_case": Writer(lambda d: setattr(d, "case", str.lower), lambda t: f"Yes {t}"),
    "upper_case": Writer(lambda d: setattr(d, "case", str.upper), lambda t: f"yes {t}"),
    "word_in_capitals": Writer(lambda d, word: d.put(word.upper()), lambda t, word: f"{word} {t}"),
    "capital_words_at_least": Writer(
        lambda d, n: d.put(*(word.upper() for word in MARKED[:n])),
        lambda t, _n: t.lower(),
    ),
    "sentences_grow": Writer(_grow, lambda t, _n: t + "\nShort."),
}
