"""Entries for tests: made-up ones, true to the formats, with figures of no run; scored ones on the suite `traced`."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.files import sha256
from sveb.entries.submit import make_entry
from sveb.runs.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.runs.results import Estimate, Results
from sveb.score.metric_catalogue import CATALOGUE
from tests.support.suites import group_means, traced
from tests.support.suites import write_run as write_scored_run

DATE = datetime.date(2026, 1, 31)
GROUP_MSE = 0.0412
CODE = "def predict(problem):\n    return [problem.group.returns.mean()] * len(problem.states)\n"

# name, params, mse on the first suite, information used, tokens sampled, milliseconds
ESTIMATORS: list[tuple[str, dict[str, Any], float, list[str], float, float]] = [
    ("mc", {"k": 9}, 0.0058, ["extra_rollouts"], 412.6, 0.41),
    ("mc", {"k": 4}, 0.0131, ["extra_rollouts"], 183.1, 0.31),
    ("mc", {"k": 1}, 0.0524, ["extra_rollouts"], 45.8, 0.22),
    ("probe", {"layer": -1}, 0.0168, ["train_returns", "hidden_states"], 0.0, 2.4),
    ("probe_group", {"kappa": 4.0}, 0.0149, ["group", "train_returns", "hidden_states"], 0.0, 3.9),
    ("hista", {"variant": "standard", "layer": -1}, 0.0216, ["group", "hidden_states"], 0.0, 14.2),
    ("numca", {"variant": "backoff"}, 0.0301, ["group"], 0.0, 0.9),
    ("numca", {"variant": "official"}, 0.0547, ["group"], 0.0, 0.8),
    ("position", {}, 0.0388, ["train_returns"], 0.0, 0.1),
    ("group_mean", {}, GROUP_MSE, ["group"], 0.0, 0.02),
    ("constant", {"checkpoint": None}, 0.0829, ["train_returns"], 0.0, 0.01),
    ("answer_likelihood", {}, 0.0251, ["train_returns", "logprobs", "gold_answer"], 0.0, 5.2),
]
SUITES = [("ledger-nano", "1.1.0"), ("ledger-nano", "1.0.0")]


def metrics(mse: float, constant: bool = False) -> dict[str, Estimate]:
    """All metrics of the catalogue, loosely consistent with one another."""
    skill = 1 - mse / GROUP_MSE
    centre = {name: 0.3 + 0.6 * max(skill, -0.4) for name in CATALOGUE}
    centre |= {"skill": skill, "r2": 0.4 + 0.6 * skill, "r2_within": skill - 0.15, "worth": 0.1 / mse}
    centre |= {name: mse * share for name, share in [("mse", 1), ("mse_between", 0.6), ("mse_within", 0.4)]}
    centre |= {
        "mse_raw": mse + 0.0031,
        "noise_floor": 0.0031,
        "mae_raw": math.sqrt(mse) * 0.8,
        "ece": mse * 2,
        "bias": -mse,
    }
    for name in ("order_steps", "order_siblings"):
        centre |= {name: 0.7 + 0.25 * skill, f"{name}_ceiling": 0.998, f"{name}_coverage": 0.53}
    found = {
        name: Estimate(value, value - 0.12 * abs(value) - 0.0008, value + 0.1 * abs(value) + 0.0008)
        for name, value in centre.items()
    }
    nan = Estimate(math.nan, math.nan, math.nan)
    if constant:
        found["collapse"] = replace(nan, note="the truth does not vary inside problems beyond its sampling noise")
        found["worth"] = replace(nan, note="unbounded: the corrected mse is not above zero")
    return found


def write_run(
    folder: Path,
    name: str = "numca",
    params: dict[str, Any] | None = None,
    mse: float = 0.03,
    budget: tuple[str, ...] = ("group",),
    suite: tuple[str, str] = SUITES[0],
    code: str | None = None,
    alarms: tuple[dict[str, str], ...] = (),
    sampled: float = 0.0,
    wall_ms: float = 1.0,
    protocol: str = "standard",
    spec: str | None = None,
) -> Path:
    """A scored run, as `eval` leaves it, at `folder`."""
    folder.mkdir(parents=True)
    code_sha256 = None
    if code is not None:
        (folder / "estimator.py").write_text(code, encoding="utf-8")
        code_sha256 = sha256(folder / "estimator.py")
    read = 131.4 if "hidden_states" in budget or "logprobs" in budget else 0.0
    info = RunInfo(
        suite=SuiteRef(
            *suite, checksum=f"{suite[1]:0<64}".replace(".", "a"), task="ledger", policy="nano", protocol=protocol
        ),
        estimator=EstimatorRef(
            name,
            spec or (f"work/{name}.py:Mine" if code else name),
            params or {},
            f"The {name} estimator.",
            0,
            code_sha256,
        ),
        budget=list(budget),
        cost=Cost(0.5, wall_ms * 1.6, wall_ms / 1000, sampled, read, 312_000_000),
        sveb_version="0.1.0",
    )
    Predictions(info, ["a", "b"], np.array([0.25, 0.5])).write(folder / "predictions.parquet")
    Results(
        info=info,
        predictions_sha256=sha256(folder / "predictions.parquet"),
        counts={"problems": 120, "path_states": 1800, "sibling_groups": 160, "missing_predictions": 0},
        metrics=metrics(mse, name == "constant"),
        bootstrap={"replicates": 2000, "seed": 0, "level": 0.95, "cluster": "problem"},
        alarms=list(alarms),
    ).write(folder / "results.json")
    return folder


def write_entries(work: Path, count: int = len(ESTIMATORS)) -> Path:
    """`count` entries; every second one also on the older suite. Returns the submissions folder."""
    submissions = work / "submissions"
    for index in range(count):
        name, params, mse, budget, sampled, wall_ms = ESTIMATORS[index % len(ESTIMATORS)]
        label = "-".join([name, *(f"{key}{value}" for key, value in params.items() if value is not None)])
        label = label.replace("_", "-") + (f"-{index // len(ESTIMATORS)}" if index >= len(ESTIMATORS) else "")
        title = " ".join([name, *(str(value) for value in params.values() if value is not None)])
        own = name == "answer_likelihood"
        for suite in SUITES[: 1 + (index % 2 == 0)]:
            run = write_run(
                work / "runs" / suite[1] / label, name, params,
                mse * (1 + index // 12 / 40) * (1.15 if suite == SUITES[1] else 1), tuple(budget), suite,
                CODE if own else None,
                ({"badge": "leak", "evidence": "made up for the tests"},) if label == "mc-k9" else (), sampled, wall_ms,
            )  # fmt: skip
            make_entry(
                run, submissions, date=DATE, name=label, title=title, team="A team" if own else "SVEB",
                method=f"Values by {name}, as its documentation defines it.", links=["https://example.org/paper"],
                hardware="2 CPU cores",
            )  # fmt: skip
    return submissions


def traced_entries(
    work: Path, problems: int = 6, estimators: dict[str, float] | None = None, title: str = "", text: str = ""
) -> Path:
    """`work`/suites/traced and entries whose values are the truth with normal errors of these sizes.

    Returns the submissions folder; `title` follows each title.
    """
    suite, value = traced(work / "suites" / "traced", problems, text)
    rng = np.random.default_rng(1)
    runs = {"group_mean": group_means(suite)}
    for name, error in (estimators or {"sharp": 0.03, "fair": 0.12, "blunt": 0.3}).items():
        runs[name] = {s: float(v + rng.normal(0, error)) for s, v in value.items()}
    for name, values in runs.items():
        budget = ("extra_rollouts",) if name == "fair" else ("group",)
        run = write_scored_run(work / "runs" / name, suite, values, budget=budget)
        make_entry(run, work / "submissions", date=DATE, name=name, title=name + title, team="A team")
    return work / "submissions"


def entries_on_two_suites(work: Path, title: str = "") -> Path:
    """`work`/suites/first and second, and entries on both: `early` is better on the first, `late` on the second.

    `alone` is on the first one only. Returns the submissions folder; `title` follows each title.
    """
    errors = {"first": {"early": 0.02, "late": 0.3, "alone": 0.6}, "second": {"early": 0.3, "late": 0.02}}
    for seed, (name, sizes) in enumerate(errors.items()):
        suite, value = traced(work / "suites" / name, 40, seed=seed, name=name)
        rng = np.random.default_rng(seed)
        for entry, error in sizes.items():
            values = {s: float(v + rng.normal(0, error)) for s, v in value.items()}
            run = write_scored_run(work / "runs" / name / entry, suite, values, budget=("group",))
            make_entry(run, work / "submissions", date=DATE, name=entry, title=entry + title, team="A team")
    return work / "submissions"
