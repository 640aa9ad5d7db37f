"""How a prompt asks for each kind of instruction, and which kinds go together.

The rules themselves are the grader's (sveb/tasks/graders/instruction_kinds.py); writers.py shows that they can be kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sveb.tasks.graders.instruction_kinds import KINDS

from .topics import Topic
from .writers import LETTERS

Arguments = tuple[int | str, ...]
Draw = Callable[[random.Random, Topic], Arguments]

LETTERS_TO_AVOID = ("b", "g", "k", "p", "v", "w", "y")
COMMON = ("h", "s", "t")  # among the letters that a prompt may ask for
FORBIDDEN = ("the", "and", "is", "are", "of", "a", "it")
FIRST = ("Today", "Many", "Sometimes", "Every", "When", "Once", "People", "Imagine")
LAST = ("home", "life", "world", "again", "tomorrow", "forever")
ADDED = ("always", "never", "very", "old", "new", "small")
SUBJECTS = ("They", "It", "We", "The", "You")


@dataclass(frozen=True)
class Ask:
    """One kind as a prompt asks for it.

    `text` asks for it in a sentence of its own, `lead` in the sentence that names the topic; None: an opening of the
    task names it. Both have {} for each argument that `draw` gives. `sets` names the parts of a text that the
    instruction fixes. `needs` and `bans` say whether it asks for certain words or forbids some. `weight`: how often it
    is drawn; kinds that a small policy sometimes keeps have more.
    """

    text: str
    lead: str | None
    draw: Draw
    sets: str = ""
    needs: bool = False
    bans: bool = False
    weight: int = 1


def compatible(one: str, other: str) -> bool:
    """Whether one prompt may ask for both kinds.

    They have to be of different families and fix different parts of the text, and if one forbids words, the other must
    not ask for any.
    """
    a, b = ASKS[one], ASKS[other]
    if KINDS[one].family == KINDS[other].family or set(a.sets.split()) & set(b.sets.split()):
        return False
    return not ((a.bans and b.needs) or (b.bans and a.needs))


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


def _topic_word(rng: random.Random, topic: Topic) -> Arguments:
    """The topic or a keyword, each in half of the draws."""
    return (topic.name.split()[-1] if rng.random() < 0.5 else rng.choice(topic.words),)


def _topic_word_times(rng: random.Random, topic: Topic) -> Arguments:
    return (*_topic_word(rng, topic), rng.randint(2, 3))


def _word_times(rng: random.Random, topic: Topic) -> Arguments:
    return rng.choice((*topic.words, *ADDED)), rng.randint(1, 2)


def _letter(low: int, high: int) -> Draw:
    """A letter and how often; common letters three times as often."""

    def draw(rng: random.Random, _topic: Topic) -> Arguments:
        letter = rng.choice(tuple(LETTERS))
        return letter, rng.randint(low, high) * (3 if letter in COMMON else 1)

    return draw


def _range_of_words(rng: random.Random, _topic: Topic) -> Arguments:
    low = rng.randrange(20, 46, 5)
    return low, low + 20


def _avoided_letter(rng: random.Random, topic: Topic) -> Arguments:
    return (rng.choice([letter for letter in LETTERS_TO_AVOID if letter not in topic.name]),)


def _avoided_word(rng: random.Random, topic: Topic) -> Arguments:
    return (rng.choice([word for word in FORBIDDEN if word not in topic.name.split()]),)


def _longest_word(rng: random.Random, topic: Topic) -> Arguments:
    return (max(rng.randint(6, 8), *map(len, topic.name.split())),)


ASKS: dict[str, Ask] = {
    # length
    "words_at_most": Ask(
        "Use at most {} words.",
        "Describe {topic} in at most {} words.",
        _number(15, 30, 5), "size", weight=6,
    ),
    "words_at_least": Ask(
        "Use at least {} words.",
        "Write at least {} words about {topic}.",
        _number(30, 60, 5), "size", weight=4,
    ),
    "words_between": Ask(
        "Use between {} and {} words.",
        "Write between {} and {} words about {topic}.",
        _range_of_words, "size", weight=4,
    ),
    "characters_at_most": Ask(
        "Use at most {} characters.",
        "Describe {topic} in at most {} characters.",
        _number(100, 160, 20), "size", weight=6,
    ),
    # sentences
    "sentences_exactly": Ask(
        "Write exactly {} sentences.",
        "Write exactly {} sentences about {topic}.",
        _number(1, 4), "size layout", weight=5,
    ),
    "sentence_words_at_most": Ask(
        "No sentence may have more than {} words.",
        "Write about {topic} in short sentences of at most {} words each.",
        _number(10, 15), "size layout", weight=6,
    ),
    "sentence_words_at_least": Ask(
        "Every sentence must have at least {} words.",
        "Write about {topic} in long sentences of at least {} words each.",
        _number(8, 14), "size layout", weight=6,
    ),
    "sentences_grow": Ask(
        "Write at least {} sentences, each with more words than the sentence before it.",
        None,
        _number(2, 3), "size layout", weight=3,
    ),
    "paragraphs_exactly": Ask(
        "Write exactly {} paragraphs, with a blank line between them.",
        "Write exactly {} short paragraphs about {topic}, with a blank line between them.",
        _number(2, 2), "size layout", weight=2,
    ),
    # keywords
    "has_words": Ask(
        'Use the words "{}" and "{}".',
        'Write a short text about {topic} with the words "{}" and "{}".',
        _two_keywords, needs=True, weight=6,
    ),
    "word_at_least": Ask(
        'Use the word "{}" at least {} times.',
        'Write a short text about {topic} that uses the word "{}" at least {} times.',
        _topic_word_times, needs=True, weight=4,
    ),
    "word_exactly": Ask(
        'Use the word "{}" exactly {} times.',
        None,
        _word_times, needs=True, weight=3,
    ),
    "without_word": Ask(
        'Do not use the word "{}".',
        'Write a short text about {topic} without the word "{}".',
        _avoided_word, "vocabulary", bans=True, weight=6,
    ),
    "words_in_order": Ask(
        'Use the word "{}" and, after it, the word "{}".',
        None,
        _two_keywords, needs=True, weight=2,
    ),
    "first_sentence_has": Ask(
        'The first sentence must contain the word "{}".',
        None,
        _keyword, "opening", needs=True, weight=5,
    ),
    "last_sentence_has": Ask(
        'The last sentence must contain the word "{}".',
        None,
        _keyword, needs=True, weight=4,
    ),
    "every_sentence_has": Ask(
        'Every sentence must contain the word "{}".',
        'Write about {topic}, with the word "{}" in every sentence.',
        _topic_word, "opening", needs=True, weight=3,
    ),
    # letters
    "without_letter": Ask(
        "Do not use the letter {}.",
        "Write a short text about {topic} without the letter {}.",
        _avoided_letter, "vocabulary", bans=True, weight=5,
    ),
    "letter_at_least": Ask(
        "Use the letter {} at least {} times.",
        "Write a short text about {topic} that uses the letter {} at least {} times.",
        _letter(3, 5), needs=True, weight=5,
    ),
    "words_begin_at_least": Ask(
        "At least {1} words must begin with the letter {0}.",
        "Write a short text about {topic} with at least {1} words that begin with the letter {0}.",
        _letter(2, 2), needs=True, weight=3,
    ),
    "word_letters_at_most": Ask(
        "No word may have more than {} letters.",
        "Write about {topic} in short words of at most {} letters.",
        _longest_word, bans=True, weight=4,
    ),
    # format
    "bullets_exactly": Ask(
        "Write exactly {} bullet points.",
        "List exactly {} facts about {topic} as bullet points.",
        _number(2, 5), "size layout start",
    ),
    "numbered_exactly": Ask(
        "Write a numbered list with exactly {} items.",
        "Write a numbered list of exactly {} facts about {topic}.",
        _number(2, 5), "size layout start", weight=6,
    ),
    "lines_exactly": Ask(
        "Write exactly {} lines.",
        "Write a poem of exactly {} lines about {topic}.",
        _number(2, 5), "size layout",
    ),
    "title": Ask(
        "Begin with a title in square brackets on a line of its own, such as [My title].",
        None,
        _none, "layout start opening",
    ),
    "bold_at_least": Ask(
        "Put at least {} words in bold, like **this**.",
        "Write a short text about {topic} with at least {} words in bold, like **this**.",
        _number(1, 3),
    ),
    "parentheses_at_least": Ask(
        "Put a remark in parentheses at least {} times.",
        "Write a short text about {topic} with a remark in parentheses at least {} times.",
        _number(1, 2),
    ),
    "numbers_at_least": Ask(
        "Include at least {} numbers, written in digits.",
        "Write a short text about {topic} with at least {} numbers in digits.",
        _number(1, 2), weight=4,
    ),
    # start and end
    "begins_with": Ask(
        'Begin with the word "{}".',
        'Write a short text about {topic} that begins with the word "{}".',
        _one_of(FIRST), "start", needs=True, weight=5,
    ),
    "ends_with": Ask(
        'End with the word "{}".',
        'Write a short text about {topic} that ends with the word "{}".',
        _one_of(LAST), "end", needs=True, weight=3,
    ),
    "first_letter": Ask(
        "The first word must begin with the letter {}.",
        None,
        _one_of(tuple(LETTERS)), "start", needs=True, weight=4,
    ),
    "sentences_begin_with": Ask(
        'Every sentence must begin with the word "{}".',
        None,
        _one_of(SUBJECTS), "start", needs=True, weight=3,
    ),
    "quoted": Ask(
        "Put the whole answer in double quotation marks.",
        None,
        _none, "start end layout",
    ),
    # punctuation
    "without_commas": Ask(
        "Do not use any commas.",
        "Write a short text about {topic} without any commas.",
        _none, weight=6,
    ),
    "commas_at_least": Ask(
        "Use at least {} commas.",
        "Write a short text about {topic} with at least {} commas.",
        _number(2, 4), weight=5,
    ),
    "ends_with_question": Ask(
        "End with a question.",
        "Write a short text about {topic} that ends with a question.",
        _none, "end", weight=4,
    ),
    "questions_exactly": Ask(
        "Use exactly {} question marks.",
        "Write a short text about {topic} with exactly {} question marks.",
        _number(1, 2), "end", weight=2,
    ),
    "exclamations_only": Ask(
        "End every sentence with an exclamation mark.",
        None,
        _none, "end layout",
    ),
    "semicolons_at_least": Ask(
        "Use at least {} semicolons.",
        None,
        _number(1, 2),
    ),
    # case
    "lower_case": Ask(
        "Write everything in lower case, without any capital letters.",
        "Write a short text about {topic} in lower case, without any capital letters.",
        _none,
    ),
    "upper_case": Ask(
        "Write everything in capital letters.",
        "Write a short text about {topic} in capital letters only.",
        _none,
    ),
    "word_in_capitals": Ask(
        'Use the word "{}" and always write it in capital letters.',
        None,
        _one_of(ADDED), needs=True,
    ),
    "capital_words_at_least": Ask(
        "Write at least {} words in capital letters.",
        None,
        _number(1, 3),
    ),
}  # fmt: skip
