"""`sveb grade`: grades pairs of a reference and a response from a file, one by one.

    {"reference": "18", "response": "... so \\boxed{18}."}       the answer is extracted first
    {"reference": "18", "response_answer": "18 eggs"}           the answer has been extracted already

A row may also have `return` (the right grade), `question` (a judge sees it), `tests` and other fields that the task's
grader needs, `finish_reason`, and `grader` if no task and no grader is named for all rows.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError, unknown_name
from sveb.suite.records import FinishReason, ProblemRecord
from sveb.tasks.graders import EXTRACTORS, GRADERS
from sveb.tasks.graders.grade import Grade, Verdict
from sveb.tasks.graders.judge_grader import JudgeEndpoint
from sveb.tasks.grading import Grading, gold_fault
from sveb.tasks.task import Task

_AHEAD = 256
# For a grader without a task: where the answer is, and what it needs in addition to the reference.
_EXTRACTS = {"program": "code", "instructions": "whole"}
_EXTRAS = {"program": ("tests",), "instructions": ("instructions", "topic")}
# These graders read what they need while they grade, so it need not be checked before.
_READS_REFERENCE = frozenset(("number", "option", "boolean", "math", "instructions"))


@dataclass(frozen=True)
class Pair:
    """One row. It has either `response` or `answer`; `expected` is the right return if the row gives it."""

    row: int
    problem: ProblemRecord
    grader: str | None
    response: str | None
    answer: str | None
    finish_reason: FinishReason
    expected: float | None
    has_expected: bool


@dataclass(frozen=True)
class GradedPair:
    """A pair with its return (None: it could not be graded) and the reason; `answer` is what was compared."""

    pair: Pair
    answer: str | None
    return_: float | None
    reason: str

    @property
    def differs(self) -> bool:
        """Whether the row gives another return."""
        return self.pair.has_expected and self.return_ != self.pair.expected

    def to_dict(self) -> dict[str, Any]:
        """The object that `sveb grade --json` prints."""
        found = {
            "row": self.pair.row,
            "reference": self.pair.problem.answer,
            "answer": self.answer,
            "return": self.return_,
            "reason": self.reason,
        }
        return found | ({"expected": self.pair.expected} if self.pair.has_expected else {})


def plain_task(grader: str, extract: str | None = None) -> Task:
    """A task that only grades. Raises SvebError for a grader or an extractor that is not known."""
    known = [name for name in GRADERS if name != "task"]
    if grader not in known:
        raise unknown_name("grader", grader, known)
    extract = extract or _EXTRACTS.get(grader, "boxed")
    if extract not in EXTRACTORS:
        raise unknown_name("answer extractor", extract, EXTRACTORS)
    answer = {"grader": grader, "extract": extract, "marker": "\\boxed"}
    source = {"extras": {name: name for name in _EXTRAS.get(grader, ())}}
    return Task(grader, grader, "", "", "", Path(), source, {}, {}, answer, {})


def read_pairs(path: Path) -> list[Pair]:
    """All rows of a jsonl file. Raises SvebError that names the first row that is not a pair."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise SvebError(f"--pairs {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SvebError(f"--pairs {path}: expected UTF-8, found an invalid byte at position {error.start}") from None
    pairs = [
        _pair(len_before, line, f"--pairs {path}, line {number}")
        for len_before, (number, line) in enumerate(
            (number, line) for number, line in enumerate(lines, 1) if line.strip()
        )
    ]
    if not pairs:
        raise SvebError(f"--pairs {path} contains no rows: expected one JSON object per line")
    return pairs


def grade_pairs(
    pairs: Sequence[Pair], task: Task | None, judge: JudgeEndpoint | None = None, extract: str | None = None
) -> Iterator[GradedPair]:
    """Grades all rows, in their order. Without `task` each row names its own grader.

    Raises SvebError if no grader is named, or if something that a grader needs is missing.
    """
    with ExitStack() as open_graders:
        at_work: dict[str, Grading] = {}
        waiting: deque[tuple[Pair, str | None, Grade]] = deque()
        for pair in pairs:
            name = task.name if task else _grader_of(pair)
            if name not in at_work:
                chosen = task or plain_task(name, extract)
                at_work[name] = open_graders.enter_context(Grading(chosen, judge))
            waiting.append((pair, *_submit(at_work[name], pair)))
            if len(waiting) > _AHEAD:
                yield _settled(*waiting.popleft())
        while waiting:
            yield _settled(*waiting.popleft())


def _grader_of(pair: Pair) -> str:
    if pair.grader is None:
        raise SvebError(f"row {pair.row} names no grader: pass --task NAME or --grader NAME")
    return pair.grader


def _submit(grading: Grading, pair: Pair) -> tuple[str | None, Grade]:
    task, answer = grading.task, pair.answer
    problem = ProblemRecord(
        pair.problem.problem_id, pair.problem.question, pair.problem.answer, None,
        {key: pair.problem.extras.get(key) for key in task.source.get("extras", {})},
    )  # fmt: skip
    fault = None if task.answer["grader"] in _READS_REFERENCE and problem.answer.strip() else gold_fault(task, problem)
    if answer is None:
        assert pair.response is not None
        answer = EXTRACTORS[task.answer["extract"]](pair.response, problem.answer)
    if fault is not None:
        grade = Grade()
        grade.settle(Verdict(None, fault))
        return answer, grade
    if pair.response is not None and pair.finish_reason == "length":
        return answer, grading.submit(problem, pair.response, "length")
    return answer, grading.submit_answer(problem, answer or "")


def _settled(pair: Pair, answer: str | None, grade: Grade) -> GradedPair:
    return GradedPair(pair, answer, grade.result(), grade.reason)


def _pair(row: int, line: str, place: str) -> Pair:
    try:
        found = json.loads(line, object_pairs_hook=_each_key_once)
    except _RepeatedKeyError as error:
        raise SvebError(f"{place}: the key {str(error)!r} is there twice: leave one out") from None
    except ValueError as error:
        raise SvebError(f"{place}: expected a JSON object, found no valid JSON ({error})") from None
    except RecursionError:
        raise SvebError(f"{place}: expected a JSON object, found one that is nested too deeply") from None
    if not isinstance(found, Mapping):
        raise SvebError(f"{place}: expected a JSON object, found {type(found).__name__}")
    reference = _text(found, "reference", place)
    if reference is None:
        raise SvebError(f'{place}: "reference" is missing: expected the right answer as a text')
    response, answer = (_text(found, key, place) for key in ("response", "response_answer"))
    if (response is None) == (answer is None):
        what = "both are there" if response is not None else "neither is there"
        raise SvebError(f'{place}: expected either "response" or "response_answer", and {what}')
    finish = found.get("finish_reason") or "stop"
    if finish not in ("stop", "length"):
        raise SvebError(f'{place}: "finish_reason" is {finish!r}: expected stop or length')
    expected = found.get("return")
    in_range = isinstance(expected, int | float) and math.isfinite(expected) and 0 <= expected <= 1
    if expected is not None and not in_range:
        raise SvebError(f'{place}: "return" is {expected!r}: expected a number from 0 to 1, or null')
    grader = found.get("grader")
    if grader is not None and not isinstance(grader, str):
        raise SvebError(f'{place}: "grader" is {grader!r}: expected a grader\'s name')
    problem = ProblemRecord(f"row-{row}", _text(found, "question", place) or "", reference, None, dict(found))
    value = None if expected is None else float(expected)
    return Pair(
        row, problem, grader, response, answer, "length" if finish == "length" else "stop", value, "return" in found
    )


def _text(found: Mapping[str, Any], key: str, place: str) -> str | None:
    """The text of a column, None if it is absent or null. Numbers become text; true and false become yes and no."""
    value = found.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and math.isfinite(value):
        return str(value)
    what = f"a {type(value).__name__}" if not isinstance(value, float) else str(value)
    raise SvebError(f'{place}: "{key}" is {what}: expected a text or a number')


class _RepeatedKeyError(Exception):
    """An object says one key twice: which value is meant is not known."""


def _each_key_once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        keys = [key for key, _ in items]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return found
