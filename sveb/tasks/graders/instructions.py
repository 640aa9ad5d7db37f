"""The grader `instructions`: whether a short text keeps what its prompt asks of its form.

An instruction is a text: the name of a kind (instruction_kinds.py) and its arguments, such as `words_at_most 30`.
The return is 1.0 if the response is a text on the topic and keeps every instruction, else 0.0. It is compared with no
reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sveb.common.errors import SvebError, unknown_name
from sveb.tasks.graders.grade import Verdict
from sveb.tasks.graders.instruction_kinds import KINDS
from sveb.tasks.graders.response_text import ResponseText, occurrence

# A text is at least this many different words of its own, so that no empty, constant or copied text is worth anything.
OWN_WORDS = 6
# So many words in a row that the prompt has too are a copy of the prompt.
COPIED_RUN = 5
KEPT = "keeps every instruction"


def parse_instruction(instruction: str) -> tuple[str, tuple[int | str, ...]]:
    """The kind and the arguments, words in lower case. Raises SvebError that says what was expected."""
    name, *words = instruction.split()
    if name not in KINDS:
        raise unknown_name("kind of instruction", name, KINDS)
    types = KINDS[name].arguments
    expected = f"{name} {' '.join('number' if each is int else 'word' for each in types)}".strip()
    if len(words) != len(types):
        raise SvebError(f"instruction {instruction!r}: expected {expected!r}")
    if not all(word.isdecimal() and len(word) < 5 for word, each in zip(words, types, strict=True) if each is int):
        raise SvebError(f"instruction {instruction!r}: expected {expected!r}, with a whole number up to 9999")
    return name, tuple(each(word.casefold()) for word, each in zip(words, types, strict=True))


def instructions_fault(instructions: Any, topic: Any) -> str | None:
    """Why a problem's instructions or its topic cannot be used, or None."""
    if not _are_texts(instructions) or not instructions:
        return f"instructions: expected a list of texts such as 'words_at_most 30', found {instructions!r}"
    if topic is not None and not _are_texts(topic):
        return f"topic: expected a list of words, found {topic!r}"
    for instruction in instructions:
        try:
            parse_instruction(instruction)
        except SvebError as error:
            return str(error)
    return None


def grade_instructions(question: str, instructions: Any, topic: Any, response: str) -> Verdict:
    """1.0 if `response` is a text on the topic and keeps every instruction, else 0.0. The reason names what it breaks.

    `topic` lists words, one of which the response's own words must contain; None: any topic.
    Missing (None) if the instructions cannot be read. Never raises; time linear in the lengths of both texts.
    """
    if fault := instructions_fault(instructions, topic):
        return Verdict(None, fault)
    text = ResponseText(response)
    own = own_words(text.words, ResponseText(question).words)
    if len(set(own)) < OWN_WORDS:
        return Verdict(0.0, f"has fewer than {OWN_WORDS} different words of its own")
    if topic and not any(occurrence(name).search(" ".join(own)) for name in topic):
        return Verdict(0.0, "does not name its topic")
    for instruction in instructions:
        name, arguments = parse_instruction(instruction)
        if not KINDS[name].holds(text, *arguments):
            return Verdict(0.0, f"does not keep: {instruction}")
    return Verdict(1.0, KEPT)


def _are_texts(found: Any) -> bool:
    is_list = isinstance(found, Sequence) and not isinstance(found, str)
    return is_list and all(isinstance(each, str) and each.strip() for each in found)


def own_words(words: Sequence[str], prompt: Sequence[str]) -> list[str]:
    """The words that are not part of five or more words in a row that the prompt has too."""
    runs = {tuple(prompt[i : i + COPIED_RUN]) for i in range(len(prompt) - COPIED_RUN + 1)}
    copied = [False] * len(words)
    for i in range(len(words) - COPIED_RUN + 1):
        if tuple(words[i : i + COPIED_RUN]) in runs:
            copied[i : i + COPIED_RUN] = [True] * COPIED_RUN
    return [word for word, is_copied in zip(words, copied, strict=True) if not is_copied]
