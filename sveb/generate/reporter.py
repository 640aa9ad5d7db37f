"""How a generation reports its progress. The command line shows it as bars; from Python it may be silent."""

from __future__ import annotations

from typing import Protocol

from sveb.generate.cost import Forecast

LOAD_POLICY = "load policy"  # this stage may be killed at any moment: nothing is sampled yet, nothing needs closing


def load_stage(engine: str | None) -> str:
    """The stage in which the engine starts: LOAD_POLICY, except for Ray, whose processes have to be closed."""
    return "start Ray" if engine == "ray" else LOAD_POLICY


class Reporter(Protocol):
    """Receives the progress of a generation."""

    def forecast(self, expected: Forecast) -> None:
        """The expected cost, before the work begins."""
        ...

    def stage(self, name: str, total: int, done: int) -> None:
        """A stage begins. It has `total` continuations; an earlier run has finished `done` of them."""
        ...

    def advance(self, continuations: int, tokens: int) -> None:
        """More continuations are finished; sampling them took `tokens` tokens."""
        ...


class SilentReporter:
    """Shows nothing. Adds up the tokens and continuations that are reported to it."""

    def __init__(self) -> None:
        self.tokens = 0
        self.continuations = 0

    def forecast(self, expected: Forecast) -> None:
        """See `Reporter`."""

    def stage(self, name: str, total: int, done: int) -> None:
        """See `Reporter`."""

    def advance(self, continuations: int, tokens: int) -> None:
        """See `Reporter`."""
        self.tokens += tokens
        self.continuations += continuations
