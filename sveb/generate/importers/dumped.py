"""What every rollout dump is read as, and what its readers have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sveb.generate.importers.findings import Findings, Row, Tokens
from sveb.suite.records import FinishReason

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """One rollout of a dump.

    `group` is the dump's own id of the problem within the step, `sample` its id of the rollout; None: it has none.
    Texts or token ids are None if the dump does not have them. `reward` None: it was not computed. `answer_ids` is a
    reference answer that was dumped as token ids.
    """

    place: str
    step: int
    reward: float | None
    group: str | None = None
    sample: str | None = None
    prompt: Prompt | None = None
    prompt_ids: Tokens | None = None
    response: str | None = None
    response_ids: Tokens | None = None
    answer: str = ""
    answer_ids: Tokens | None = None
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Format:
    """How one trainer dumps rollouts.

    `files` finds them under a folder, `rows` reads the rows of one. `read` turns a row into a rollout (None: it is left
    out, and it says why to the findings); its last argument is the name of the reward to take, "" for the usual one.
    `source` of a file: a run writes all rollouts of a step to files of one source.
    """

    name: str
    about: str
    files: Callable[[Path], list[Path]]
    rows: Callable[[Path, Findings], Iterator[Row]]
    read: Callable[[Row, Path, Findings, str], Dumped | None] = field(repr=False)
    source: Callable[[Path], str] = str


FINISH: dict[Any, FinishReason] = {
    "stop": "stop", "length": "length", "completed": "stop", "truncated": "length",
}  # fmt: skip


def matching(pattern: str) -> Callable[[Path], list[Path]]:
    return lambda folder: sorted(folder.rglob(pattern))


def read_prompt(row: Row, key: str) -> Prompt:
    """A text, or a conversation: a list of {role, content}."""
    value = row.get(key)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(_is_message(each) for each in value):
        return [{"role": str(each["role"]), "content": str(each["content"])} for each in value]
    raise row.wrong(key, "a text, or a list of messages with role and content")


def read_response(row: Row, key: str) -> str:
    value = row.get(key)
    if isinstance(value, list) and len(value) == 1 and _is_message(value[0]):
        return str(value[0]["content"])
    if not isinstance(value, str):
        raise row.wrong(key, "a text, or one message")
    return value


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("content"), str) and isinstance(value.get("role"), str)
