"""What is known about scores and training: the reports of two benches, which lie in sveb/site/evidence/.

    gradients-<policy>.json    of bench.gradients: figures of each estimator's policy gradient, and taus
    training.json              of bench.training: success of policies in training

A report that is not there is an experiment that was not run. docs/evidence.md defines the figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import read_json
from sveb.runs.results import Estimate

FOLDER = Path(__file__).with_name("evidence")
REGISTERED = {"nano": 400, "nano-early": 400}  # problems of each policy that the hypotheses are about
PLANNED = {**REGISTERED, "smollm2-135m-q4": 40}
DOSES = {
    "noise of states": "standard deviation of the noise of each state",
    "noise of problems": "standard deviation of the noise of each problem",
    "shrunk to": "what is left of V − group mean",
}


@dataclass(frozen=True)
class Doses:
    """One way to make the truth worse: `relative[lambda]` has for each size the efficiency divided by the truth's."""

    kind: str
    sizes: list[str]
    relative: dict[str, list[Estimate]]


@dataclass(frozen=True)
class Gradients:
    """Figures of one policy: `rows[estimator][figure]` and `tau[score][figure]`, named as in the report.

    `lambdas` and sizes of doses are texts as in the figures' names. `not_run`: estimators that have no figures yet.
    `signal`: share of the squared length of the mean reference gradient that is not noise.
    """

    problems: int
    probes: int
    signal: float
    not_run: list[str]
    lambdas: list[str]
    rows: dict[str, dict[str, Estimate]]
    doses: list[Doses]
    tau: dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Curve:
    """Success of one run, or its mean over runs, after so many updates and sampled tokens: lists of one length."""

    updates: list[float]
    tokens: list[float]
    success: list[float]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds; NaN of one seed."""

    mean: float
    sd: float


@dataclass(frozen=True)
class TrainedArm:
    """An arm's runs. `mean` is None, and the rest is empty, where it was not run."""

    name: str
    estimator: str
    lam: float
    seeds: int
    curves: list[Curve]
    mean: Curve | None
    spreads: dict[str, Spread]


@dataclass(frozen=True)
class Training:
    """All arms at one learning rate. `differences["stacked - group_mean"]["area_by_updates"]` and the like."""

    title: str
    updates: int
    seeds_needed: int | None
    arms: list[TrainedArm]
    differences: dict[str, dict[str, Estimate]]


def read_gradients(folder: Path) -> dict[str, Gradients]:
    """The figures of each policy that has some; first the planned ones, in their order."""
    names = [path.stem.removeprefix("gradients-") for path in folder.glob("gradients-*.json")]
    order = [*(name for name in PLANNED if name in names), *sorted(set(names) - set(PLANNED))]
    return {name: _read(folder / f"gradients-{name}.json", "bench.gradients", gradients_of) for name in order}


def read_training(folder: Path) -> list[Training]:
    """The figures at each learning rate that an arm was trained with."""
    path = folder / "training.json"
    return _read(path, "bench.training", trainings_of) if path.exists() else []


def gradients_of(figures: Mapping[str, Any]) -> Gradients:
    """The figures of a report of bench.gradients."""
    tau = {score: _estimates(row) for score, row in figures["tau"].items()}
    lambdas = [kind.removeprefix("s ") for kind in next(iter(tau.values())) if kind.startswith("s ")]
    rows = {name: _estimates(row) for name, row in figures["estimators"].items()}
    doses = []
    for kind in DOSES:
        start = f"truth, {kind} "
        mine = {name.removeprefix(start): rows.pop(name) for name in list(rows) if name.startswith(start)}
        relative = {lam: [row[f"relative {lam}"] for row in mine.values()] for lam in lambdas}
        doses.append(Doses(kind, list(mine), relative))
    return Gradients(
        figures["problems"], figures["probes"], figures["signal in |G|²"], figures["not run"], lambdas, rows, doses, tau
    )  # fmt: skip


def trainings_of(figures: Mapping[str, Any]) -> list[Training]:
    """The figures of a report of bench.training, without learning rates at which nothing was finished."""
    found = [
        Training(
            title, part["updates"], part["seeds_needed"],
            [_arm(name, row, part["settings"][name], part["curves"]) for name, row in part["arms"].items()],
            {pair: _estimates(row) for pair, row in part["differences"].items()},
        )
        for title, part in figures.items()
    ]  # fmt: skip
    return [each for each in found if any(arm.mean for arm in each.arms)]


def _arm(name: str, row: Any, settings: Mapping[str, Any], curves: Mapping[str, Any]) -> TrainedArm:
    estimator, lam = settings["estimator"], settings["lambda"]
    if name not in curves:
        return TrainedArm(name, estimator, lam, 0, [], None, {})
    seeds = [_curve(each) for each in curves[name]["seeds"]]
    spreads = {kind: Spread(each["mean"], _number(each["sd"])) for kind, each in row.items()}
    return TrainedArm(name, estimator, lam, len(seeds), seeds, _curve(curves[name]["mean"]), spreads)


def _curve(raw: Mapping[str, Any]) -> Curve:
    return Curve(raw["updates"], raw["tokens"], raw["success"])


def _estimates(row: Mapping[str, Sequence[float | None]]) -> dict[str, Estimate]:
    return {kind: Estimate(_number(value), _number(low), _number(high)) for kind, (value, low, high) in row.items()}


def _number(raw: float | None) -> float:
    return math.nan if raw is None else float(raw)


def _read(path: Path, bench: str, parse: Any) -> Any:
    raw = read_json(path, f"a report of {bench}")
    try:
        return parse(raw["figures"])
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise SvebError(f"{path} is not a report of this version's {bench} ({error!r}): make it again") from None
