"""Grades finished responses beside the engine, so that it never waits for a grader."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from sveb.core.records import FinishReason, ProblemRecord
from sveb.tasks.task import Task


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
