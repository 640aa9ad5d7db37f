"""How a prompt asks for each kind of instruction, which kinds go together, and what keeps or breaks them.

The rules themselves are the grader's (sveb/tasks/graders/instruction_kinds.py).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sveb.tasks.graders.instruction_kinds import KINDS

from .reference import MARKED, Draft, without
from .topics import Topic

Arguments = tuple[Any, ...]
Draw = Callable[[random.Random, Topic], Arguments]

# For each letter that an instruction may ask for, a word that begins with it.
LETTERS = {
    "b": "big", "c": "calm", "f": "fine", "g": "good", "h": "here", "m": "more", "p": "plain", "s": "so", "t": "two",
    "w": "well",
}  # fmt: skip
LETTERS_TO_AVOID = ("b", "c", "f", "g", "k", "m", "p", "v", "w", "y")
FORBIDDEN = ("the", "and", "is", "are", "of", "a")
FIRST = ("Today", "Many", "Sometimes", "Every", "When", "Once", "People", "Imagine")
LAST = ("home", "life", "world", "again", "tomorrow", "forever")
ADDED = ("always", "never", "very", "old", "new", "small")


@dataclass(frozen=True)
class Ask:
    """One kind as a prompt asks for it.

    `text` has {} for each argument that `draw` gives. `write` makes a draft keep the instruction, `spoil` makes a text
    that keeps it break it. `sets` names the parts of a text that the instruction fixes. `needs` and `bans` say whether
    it asks for certain words or forbids some.
    """

    text: str
    draw: Draw
    write: Callable[..., object]
    spoil: Callable[..., str]
    sets: str = ""
    needs: bool = False
    bans: bool = False


def compatible(one: str, other: str) -> bool:
    """Whether one prompt may ask for both kinds.

    They have to be of different families and fix different parts of the text, and if one forbids words, the other must
    not ask for any.
    """
    a, b = ASKS[one], ASKS[other]
    if KINDS[one].family == KINDS[other].family or set(a.sets.split()) & set(b.sets.split()):
        return False
    return not (a.bans and b.needs or b.bans and a.needs)


def _nothing(_draft: Draft, *_arguments: object) -> None:
    """A draft keeps it already."""


def _none(_rng: random.Random, _topic: Topic) -> Arguments:
    return ()


def _number(low: int, high: int, step: int = 1) -> Draw:
    return lambda rng, _topic: (rng.randrange(low, high + 1, step),)


def _one_of(words: tuple[str, ...]) -> Draw:
    return lambda rng, _topic: (rng.choice(words),)


def _keyword(rng: random.Random, topic: Topic) -> Arguments:
    return (rng.choice(topic.words),)


def _two_keywords(rng: random.Random, topic: Topic) -> Arguments:
    return tuple(rng.sample(topic.words, 2))


def _times(added: tuple[str, ...], low: int, high: int) -> Draw:
    """A keyword or one of these words, and how often."""
    return lambda rng, topic: (rng.choice((*topic.words, *added)), rng.randint(low, high))


def _letter(low: int, high: int) -> Draw:
    return lambda rng, _topic: (rng.choice(tuple(LETTERS)), rng.randint(low, high))


def _range_of_words(rng: random.Random, _topic: Topic) -> Arguments:
    low = rng.randrange(30, 61, 5)
    return low, low + 20


def _avoided_letter(rng: random.Random, topic: Topic) -> Arguments:
    return (rng.choice([letter for letter in LETTERS_TO_AVOID if letter not in topic.name]),)


def _avoided_word(rng: random.Random, topic: Topic) -> Arguments:
    return (rng.choice([word for word in (*FORBIDDEN, *topic.words) if word not in topic.name.split()]),)


def _longest_word(rng: random.Random, topic: Topic) -> Arguments:
    return (max(rng.randint(7, 9), *map(len, topic.name.split())),)


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
ASKS: dict[str, Ask] = {
    "without_letter": Ask(
        "Do not use the letter {}.", _avoided_letter, lambda d, letter: d.ban(lambda word: letter in word),
        lambda t, letter: f"{t} {letter}", "vocabulary", bans=True,
    ),
    "without_word": Ask(
        'Do not use the word "{}".', _avoided_word, lambda d, word: d.ban(lambda other: other == word),
        lambda t, word: f"{word} {t}", "vocabulary", bans=True,
    ),
    "word_letters_at_most": Ask(
        "No word may have more than {} letters.", _longest_word, _nothing,
        lambda t, n: f"{'a' * (n + 1)} {t}", bans=True,
    ),
    # length
    "words_at_most": Ask(
        "Use at most {} words.", _number(25, 40), lambda d, n: d.at_most(lambda t: len(t.split()) + 8, n),
        lambda t, n: t + " more" * n, "size",
    ),
    "words_at_least": Ask(
        "Use at least {} words.", _number(50, 80, 5), Draft.at_least,
        lambda t, n: " ".join(t.split()[: n // 3]), "size",
    ),
    "words_between": Ask(
        "Use between {} and {} words.", _range_of_words, lambda d, low, _high: d.at_least(low),
        lambda t, low, _high: " ".join(t.split()[: low // 2]), "size",
    ),
    "characters_at_most": Ask(
        "Use at most {} characters.", _number(160, 240, 20), lambda d, n: d.at_most(lambda t: len(t) + 50, n),
        lambda t, n: t + " more" * n, "size",
    ),
    # sentences
    "sentences_exactly": Ask(
        "Write exactly {} sentences.", _number(2, 4), Draft.resize,
        lambda t, _n: t + "\nOne more sentence is here.", "size layout",
    ),
    "sentence_words_at_most": Ask(
        "No sentence may have more than {} words.", _number(12, 16), lambda d, _n: d.resize(5),
        lambda t, n: t + "\n" + "again " * (n + 1), "size layout",
    ),
    "sentence_words_at_least": Ask(
        "Every sentence must have at least {} words.", _number(10, 14),
        lambda d, n: [d.lengthen(i, n) for i in range(len(d.sentences))],
        lambda t, _n: t + "\nA short one.", "size layout",
    ),
    "paragraphs_exactly": Ask(
        "Write exactly {} paragraphs, with a blank line between them.", _number(2, 3),
        lambda d, n: _rows(d, n, between="\n\n"), lambda t, _n: t + "\n\nOne more is here.", "size layout",
    ),
    # format, where it fixes the lines
    "bullets_exactly": Ask(
        'Write exactly {} bullet points, each on its own line that begins with "- ".', _number(2, 5),
        lambda d, n: _rows(d, n, "- "), lambda t, _n: t + "\n- One more.", "size layout start",
    ),
    "numbered_exactly": Ask(
        "Write a numbered list with exactly {} items.", _number(2, 5), lambda d, n: _rows(d, n, "{}. "),
        lambda t, _n: t + "\n9. One more.", "size layout start",
    ),
    "lines_exactly": Ask(
        "Write exactly {} lines.", _number(2, 5), _rows, lambda t, _n: t + "\nOne more line.", "size layout"
    ),
    "title": Ask(
        "Begin with a title in square brackets on a line of its own, such as [My title].", _none,
        lambda d: setattr(d, "head", "[Notes]\n"), lambda t: t.replace("[", "", 1), "layout start opening",
    ),
    # keywords
    "has_words": Ask(
        'Use the words "{}" and "{}".', _two_keywords, Draft.put, lambda t, _a, b: without(t, b), needs=True
    ),
    "word_at_least": Ask(
        'Use the word "{}" at least {} times.', _times((), 2, 3), lambda d, word, n: d.put(*[word] * n),
        lambda t, word, _n: without(t, word), needs=True,
    ),
    "word_exactly": Ask(
        'Use the word "{}" exactly {} times.', _times(ADDED, 2, 3), lambda d, word, n: d.put(*[word] * n),
        lambda t, word, _n: f"{word} {t}", needs=True,
    ),
    "words_in_order": Ask(
        'Use the word "{}" and, after it, the word "{}".', _two_keywords,
        lambda d, a, b: (d.sentences[0].insert(2, a), d.sentences[-1].insert(3, b)),
        lambda t, a, b: f"{without(without(t, b), a)}\n{b} {a}", needs=True,
    ),
    "first_sentence_has": Ask(
        'The first sentence must contain the word "{}".', _keyword, Draft.put, without, "opening", needs=True
    ),
    "last_sentence_has": Ask(
        'The last sentence must contain the word "{}".', _keyword, lambda d, word: d.sentences[-1].insert(2, word),
        without, needs=True,
    ),
    "every_sentence_has": Ask(
        'Every sentence must contain the word "{}".', _keyword, lambda d, word: _in_each(d, 2, word),
        lambda t, _word: t + "\nNot this one.", "opening", needs=True,
    ),
    # letters
    "letter_at_least": Ask(
        "Use the letter {} at least {} times.", _letter(6, 14), _fill,
        lambda t, letter, _n: re.sub(letter, "", t, flags=re.IGNORECASE), needs=True,
    ),
    "words_begin_at_least": Ask(
        "At least {1} words must begin with the letter {0}.", _letter(4, 7),
        lambda d, letter, n: d.put(*[LETTERS[letter]] * n),
        lambda t, letter, _n: re.sub(rf"\b{letter}", "x", t, flags=re.IGNORECASE), needs=True,
    ),
    # format, within the lines
    "bold_at_least": Ask(
        "Put at least {} words in bold, like **this**.", _number(1, 3),
        lambda d, n: d.put(*(f"**{word}**" for word in MARKED[:n])), lambda t, _n: t.replace("*", ""),
    ),
    "parentheses_at_least": Ask(
        "Put a remark in parentheses at least {} times.", _number(1, 2),
        lambda d, n: d.put(*(f"({word})" for word in MARKED[:n])), lambda t, _n: t.replace("(", ""),
    ),
    "numbers_at_least": Ask(
        "Include at least {} numbers, written in digits.", _number(2, 3),
        lambda d, n: d.put(*(str(12 * i) for i in range(1, n + 1))), lambda t, _n: re.sub(r"\d", "", t),
    ),
    # start and end
    "begins_with": Ask(
        'Begin with the word "{}".', _one_of(FIRST), lambda d, word: d.sentences[0].insert(0, word),
        lambda t, _word: f"Well {t}", "start", needs=True,
    ),
    "ends_with": Ask(
        'End with the word "{}".', _one_of(LAST), lambda d, word: d.sentences[-1].append(word),
        lambda t, _word: f"{t} Or not.", "end", needs=True,
    ),
    "first_letter": Ask(
        "The first word must begin with the letter {}.", _one_of(tuple(LETTERS)),
        lambda d, letter: d.sentences[0].insert(0, LETTERS[letter]), lambda t, _letter: f"An {t}", "start", needs=True,
    ),
    "sentences_begin_with": Ask(
        'Every sentence must begin with the word "{}".', _one_of(("They", "It", "We", "The", "You")),
        lambda d, word: _in_each(d, 0, word), lambda t, _word: t + "\nNot this one.", "start", needs=True,
    ),
    "quoted": Ask(
        "Put the whole answer in double quotation marks.", _none,
        lambda d: (setattr(d, "head", '"'), setattr(d, "tail", '"')), lambda t: t[1:], "start end layout",
    ),
    # punctuation
    "without_commas": Ask("Do not use any commas.", _none, _nothing, lambda t: f"Yes, {t}"),
    "commas_at_least": Ask(
        "Use at least {} commas.", _number(3, 5), lambda d, n: _mark(d, n, ","), lambda t, _n: t.replace(",", "")
    ),
    "ends_with_question": Ask(
        "End with a question.", _none, lambda d: setattr(d, "last", "?"), lambda t: f"{t} Yes.", "end"
    ),
    "questions_exactly": Ask(
        "Use exactly {} question marks.", _number(1, 2), lambda d, n: setattr(d, "questions", n),
        lambda t, _n: f"{t}?", "end",
    ),
    "exclamations_only": Ask(
        "End every sentence with an exclamation mark.", _none, lambda d: setattr(d, "mark", "!"),
        lambda t: t + "\nNot this one.", "end layout",
    ),
    "semicolons_at_least": Ask(
        "Use at least {} semicolons.", _number(1, 2), lambda d, n: _mark(d, n, ";"), lambda t, _n: t.replace(";", "")
    ),
    # case
    "lower_case": Ask(
        "Write everything in lower case, without any capital letters.", _none,
        lambda d: setattr(d, "case", str.lower), lambda t: f"Yes {t}",
    ),
    "upper_case": Ask(
        "Write everything in capital letters.", _none, lambda d: setattr(d, "case", str.upper), lambda t: f"yes {t}"
    ),
    "word_in_capitals": Ask(
        'Use the word "{}" and always write it in capital letters.', _keyword, lambda d, word: d.put(word.upper()),
        lambda t, word: f"{word} {t}", needs=True,
    ),
    "capital_words_at_least": Ask(
        "Write at least {} words in capital letters.", _number(1, 3),
        lambda d, n: d.put(*(word.upper() for word in MARKED[:n])), lambda t, _n: t.lower(),
    ),
    # last, because it compares the sentences
    "sentences_grow": Ask(
        "Write at least {} sentences, each with more words than the sentence before it.", _number(2, 3), _grow,
        lambda t, _n: t + "\nShort.", "size layout",
    ),
}  # fmt: skip
