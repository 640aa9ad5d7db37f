"""Grades finished responses beside the engine, so that it never waits for a grader."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from sveb.core.records import FinishReason, ProblemRecord
from sveb.tasks.folders import load_code
from sveb.tasks.graders import COMPARERS, mathematics, program
from sveb.tasks.task import Task


def gold_fault(task: Task, problem: ProblemRecord) -> str | None:
    """Why the task's grader cannot use this problem's reference, or None. Cheap: nothing is run or asked."""
    grader, answer = task.answer["grader"], problem.answer
    if not answer.strip():
        return "the reference answer is empty"
    if grader in COMPARERS and COMPARERS[grader](answer, answer) != 1.0:
        return f"the grader {grader!r} cannot read the reference {answer!r}"
    if grader == "math" and not mathematics.readable(answer):
        return f"math-verify cannot read the reference {answer!r}"
    if grader == "program":
        return program.tests_fault(problem.extras.get("tests"))
    if grader == "task" and load_code(task.name).grade(problem, answer) != 1.0:
        return f"the task's own grader does not accept the reference {answer!r}"
    return None


class Grading:
    """The graders of one task at work. Use as a context manager.

    `failures` counts, by reason, the gradings that gave None: missing, never 0.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.failures: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, problem: ProblemRecord, text: str, finish_reason: FinishReason) -> Future[float | None]:
        """The return of a whole response in [0, 1], or None if it could not be graded; the future never raises."""
        future: Future[float | None] = Future()
        future.set_result(self.task.grade(problem, text, finish_reason))
        return future

    def close(self) -> None:
        """Ends the workers; what is not graded by then comes back as None."""
