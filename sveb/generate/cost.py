"""The expected cost of a generation, as figures. `forecast.py` computes them, a `Reporter` shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """Means over the rollouts of a short trial, in tokens, and its sampling speed in tokens a second.

    `ended`: rollouts that ended within the trial. `length_low`, `length_high`: bounds of `length`, see
    `trial.mean_length`. `remaining`: from a path state to the end; `step`: one step; `states`: path states of a probe
    rollout. `stored_bytes`, `text_bytes`: disk space of a token with its text, and of its text alone.
    """

    rollouts: int
    ended: int
    length: float
    length_low: float
    length_high: float
    remaining: float
    step: float
    states: float
    tokens_per_s: float
    stored_bytes: float
    text_bytes: float


@dataclass(frozen=True)
class StageCost:
    """One stage: the number of its samples, and the tokens that they are expected to take."""

    name: str
    samples: int
    tokens: float


@dataclass(frozen=True)
class Forecast:
    """`stages` in the order of work; `gpu_tokens_per_s` is the speed of one H200-class GPU."""

    problems: int
    states: int
    stages: list[StageCost]
    trial: Trial
    gpu_tokens_per_s: float
    bytes_on_disk: float

    @property
    def tokens(self) -> float:
        """Tokens of all stages."""
        return sum(stage.tokens for stage in self.stages)

    @property
    def tokens_between(self) -> tuple[float, float]:
        """Bounds of `tokens`: every stage grows with the length of a rollout, the only large unknown."""
        a, b = self.trial.length_low / self.trial.length, self.trial.length_high / self.trial.length
        return self.tokens * a, self.tokens * b

    @property
    def seconds_here(self) -> float:
        """Seconds on this machine, at the speed of the trial."""
        return self.tokens / self.trial.tokens_per_s

    def seconds_on(self, gpus: int) -> float:
        """Seconds on so many H200-class GPUs with one engine each: they share no work, so the speeds add up."""
        return self.tokens / (self.gpu_tokens_per_s * gpus)
