"""Instruct: short texts under one or two instructions about their form, which a program can check.

topics.py: what the texts are about; kinds.py: how a prompt asks for each kind, and which kinds go together;
reference.py: texts that keep instructions. The grader is `instructions`. A hash of the topic and the kinds decides
which split may contain a problem, so no two splits share a problem, whatever the seed and the numbers in it.
"""

from __future__ import annotations

import hashlib
import random
import re

from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.instructions import KEPT, grade_instructions, parse_instruction

from .draft import Draft
from .kinds import ASKS, Arguments, compatible
from .topics import TOPICS, Topic
from .writers import WRITERS

# Shares of the hash space, in percent: [from, to).
SPLITS = {"test": (0, 40), "train": (40, 100)}
OPENINGS = ("Write a short text about {topic}.", "Describe {topic} to a child.")
TWO_SHARE = 0.3  # of the prompts have two instructions
TIERS = {1: "one", 2: "two"}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ONE = re.compile(r"\bone (word|time|sentence|number|question mark|semicolon)s\b")


def problems(split: str, n: int, seed: int) -> list[ProblemRecord]:
    """The first `n` problems of a split; problem i depends on (seed, split, i) alone.

    Raises ValueError for a split that is neither "train" nor "test".
    """
    if split not in SPLITS:
        raise ValueError(f"instruct has the splits {', '.join(sorted(SPLITS))}; found {split!r}")
    return [problem(split, i, seed) for i in range(n)]


def problem(split: str, i: int, seed: int) -> ProblemRecord:
    """Problem i of a split: topics and instructions are drawn until they belong to it and a text can keep them."""
    rng = random.Random(f"instruct/{seed}/{split}/{i}")
    while True:
        topic, kinds = rng.choice(TOPICS), _draw_kinds(rng)
        if split_of(topic, kinds) != split:
            continue
        asked = {kind: ASKS[kind].draw(rng, topic) for kind in kinds}
        question = _ask(rng, topic, asked)
        instructions = [" ".join(map(str, (kind, *arguments))) for kind, arguments in asked.items()]
        reference = write(topic, asked)
        if grade_instructions(question, instructions, topic.names, reference).reason == KEPT:
            break
    return ProblemRecord(
        problem_id=f"instruct-{split}-{i:05d}",
        question=question,
        answer=reference,
        tier=TIERS[len(kinds)],
        extras={"instructions": instructions, "topic": list(topic.names)},
    )


def split_of(topic: Topic, kinds: tuple[str, ...]) -> str:
    """The only split that may contain a text about this topic under these kinds of instruction."""
    percent = int.from_bytes(hashlib.sha256(f"{topic.name}{sorted(kinds)}".encode()).digest()[:8], "big") % 100
    return next(split for split, (low, high) in SPLITS.items() if low <= percent < high)


def write(topic: Topic, asked: dict[str, Arguments]) -> str:
    """A text about the topic that keeps these instructions, as far as they go together."""
    draft = Draft(topic.name)
    for kind in (kind for kind in WRITERS if kind in asked):
        WRITERS[kind].write(draft, *asked[kind])
    return draft.text()


def altered(problem: ProblemRecord) -> str:
    """The reference, changed so that it breaks the last instruction."""
    kind, arguments = parse_instruction(problem.extras["instructions"][-1])
    return WRITERS[kind].spoil(problem.answer, *arguments)


def _draw_kinds(rng: random.Random) -> tuple[str, ...]:
    kind = _weighted(rng, list(ASKS))
    if rng.random() >= TWO_SHARE:
        return (kind,)
    return kind, _weighted(rng, [other for other in ASKS if compatible(kind, other)])


def _weighted(rng: random.Random, kinds: list[str]) -> str:
    return rng.choices(kinds, [ASKS[kind].weight for kind in kinds])[0]


def _ask(rng: random.Random, topic: Topic, asked: dict[str, Arguments]) -> str:
    """The prompt. The first instruction is part of the sentence that names the topic, as a person would write it."""
    (first, *_), spelled = asked, {kind: map(_spelled, arguments) for kind, arguments in asked.items()}
    lead = ASKS[first].lead
    if lead is not None:
        sentences = [lead.format(*spelled.pop(first), topic=topic.name)]
    else:
        sentences = [rng.choice(OPENINGS).format(topic=topic.name)]
    sentences += [ASKS[kind].text.format(*words) for kind, words in spelled.items()]
    return _ONE.sub(r"one \1", " ".join(sentences))


def _spelled(argument: int | str) -> str:
    """Small numbers in words."""
    return NUMBERS[argument] if isinstance(argument, int) and argument < len(NUMBERS) else str(argument)
