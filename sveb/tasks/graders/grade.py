"""What a grader says of an answer."""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple


class Verdict(NamedTuple):
    """The return in [0, 1], or None where no grade could be had (missing, never 0); and the reason, in words."""

    grade: float | None
    reason: str


class Grade(Future["float | None"]):
    """A return that is on its way; once it is there, `reason` says why. It never raises."""

    reason = ""

    def settle(self, verdict: Verdict) -> None:
        """Gives the verdict to whoever waits."""
        self.reason = verdict.reason
        self.set_result(verdict.grade)


SAME = "says the same as the reference"
EMPTY = "no answer was found in the response"
UNREADABLE = "the reference cannot be read"
