"""What a grader is that cannot answer on the spot."""

from __future__ import annotations

from typing import Protocol

from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.grade import Verdict


class UngradedError(Exception):
    """No grade could be had, and why: the return is missing, never 0. `hopeless`: at once again would be the same."""

    def __init__(self, reason: str, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.hopeless = hopeless


class Grader(Protocol):
    """Grades answers, one a call, in up to `threads` threads at once."""

    threads: int

    def check(self) -> None:
        """Raises SvebError where nothing could be graded at all: before anything is sampled."""
        ...

    def key(self, problem: ProblemRecord, found: str) -> tuple[str, ...]:
        """What the grade depends on: equal keys are graded once."""
        ...

    def at_once(self, problem: ProblemRecord, found: str) -> Verdict | None:
        """The verdict where it is plain without work (microseconds), else None."""
        ...

    def grade(self, problem: ProblemRecord, found: str) -> Verdict:
        """The verdict, with a return in [0, 1]. Blocks. Raises UngradedError."""
        ...

    def close(self) -> None:
        """Ends all that was started; what is under way raises UngradedError soon."""
        ...
