"""Scores a value function while it is trained: a Python callable over token ids, on the states of a suite.

from sveb.monitor import Monitor, to_jsonl

monitor = Monitor("ledger-nano", every=100, to=[to_jsonl("critic.jsonl")])
for step in range(1, 1001):
    train(critic)
    monitor.after(step, lambda sequences: values_of(critic, sequences))

`sveb report --series critic.jsonl` draws the curve. The suite's policy must be the one whose values the critic learns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError, named, unknown_name
from sveb.common.files import disk_errors
from sveb.runs.results import Estimate
from sveb.runs.series import Point, point_line
from sveb.score.bootstrap import resample
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.score import evaluate
from sveb.score.truth import read_truth
from sveb.suite.suite import EMBEDDED_SUITE, Suite

METRICS = (
    "skill", "mse", "r2_within", "collapse", "spearman_within", "explained_variance", "explained_variance_ceiling",
)  # fmt: skip

Values = Callable[[list[list[int]]], Sequence[float] | npt.NDArray[Any]]
Sink = Callable[[Point], None]


class Monitor:
    """Scores a value function every `every` steps and gives each point of the curve to every sink of `to`.

    A sequence is a state's prompt and prefix; its value is the estimate of V at its last token, before any next token
    is sampled. (A trainer's `values[t]` may be the value before token t: then it is the output at t - 1.) `metrics` are
    names of the catalogue (docs/metrics.md).
    """

    def __init__(
        self,
        suite: str | Path | Suite = EMBEDDED_SUITE,
        *,
        every: int = 1,
        to: Sequence[Sink] = (),
        metrics: Sequence[str] = METRICS,
    ) -> None:
        if every < 1:
            raise SvebError(f"every is {every}: expected a number of steps of at least 1")
        self.suite = suite if isinstance(suite, Suite) else Suite.open(suite)
        self.every, self.points = every, list[Point]()
        self._to = list(to)
        self._metrics = list(metrics)
        for name in self._metrics:
            if name not in CATALOGUE:
                raise unknown_name("metric", name, CATALOGUE)
        self._truth = read_truth(self.suite)
        self._resamples = resample(len(self._truth.problem_ids))
        prompts = self.suite.problems["prompt_token_ids"]
        states = self.suite.states.loc[self._truth.state_ids]
        self.sequences: list[list[int]] = [
            [*map(int, prompts[problem]), *map(int, tokens)]
            for problem, tokens in zip(states["problem_id"], states["token_ids"], strict=True)
        ]
        means = self._truth.group_mean[self._truth.problem]
        self._group_mean = {} if np.isnan(means).any() else self._estimates(means)

    def after(self, step: int, values: Values) -> Point | None:
        """Scores `values` if the step is one of every `every`, and returns the point of the curve; else None."""
        return self.score(step, values) if step % self.every == 0 else None

    def score(self, step: int, values: Values) -> Point:
        """Scores `values`, which maps token sequences to as many finite numbers, and passes the point on."""
        try:
            given = np.asarray(values(self.sequences), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise SvebError(f"step {step}: expected {len(self.sequences)} numbers ({named(error)})") from error
        if given.shape != (len(self.sequences),):
            raise SvebError(
                f"step {step}: expected values of shape ({len(self.sequences)},), one for each sequence; found "
                f"{given.shape}"
            )
        if not np.isfinite(given).all():
            raise SvebError(f"step {step}: {int((~np.isfinite(given)).sum())} values are not finite")
        point = Point(step, self.suite.name, self.suite.checksum, self._estimates(given), self._group_mean)
        self.points.append(point)
        for sink in self._to:
            sink(point)
        return point

    def _estimates(self, values: npt.NDArray[np.float64]) -> dict[str, Estimate]:
        found = evaluate(self._truth, values, np.ones(len(values), dtype=bool), self._resamples)
        return {name: found[name] for name in self._metrics}


def to_jsonl(path: str | Path) -> Sink:
    """A sink that appends each point to a jsonl file, for `sveb report --series`."""
    file = Path(path)

    def write(point: Point) -> None:
        with disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(point_line(point))

    return write


def to_tensorboard(writer: Any, prefix: str = "sveb") -> Sink:
    """A sink for a `torch.utils.tensorboard.SummaryWriter`, or anything else with `add_scalar(name, value, step)`."""

    def write(point: Point) -> None:
        for name, value in point.scalars(prefix).items():
            writer.add_scalar(name, value, point.step)

    return write


def to_wandb(run: Any, prefix: str = "sveb") -> Sink:
    """A sink for a run of W&B (`wandb.init()`), or anything else with `log(values, step=...)`."""
    return lambda point: run.log(point.scalars(prefix), step=point.step)


def trl_callback(monitor: Monitor, values_of: Callable[[Any], Values]) -> Any:
    """A callback for trainers of TRL and transformers: `Trainer(..., callbacks=[trl_callback(monitor, values_of)])`.

    `values_of` turns the trainer's model into a value function. In TRL's PPO the critic is `model.value_model`.
    """
    from transformers import TrainerCallback

    class MonitorCallback(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            del args, control
            monitor.after(int(state.global_step), values_of(kwargs["model"]))

    return MonitorCallback()
