"""A policy whose values are known in closed form, and small suites on disk.

The policy: a Markov chain of STEPS steps. Each step of a problem adds 0, 1 or 2 points with the problem's own
probabilities; a rollout with k points ends right with probability (k / (2 STEPS))^2. Backward recursion gives V.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sveb.core.files import sha256
from sveb.core.manifest import Manifest
from sveb.core.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.core.suite import Suite
from sveb.core.tables import table_of, write_table
from sveb.score.truth import Truth, moments

STEPS = 8


def chain_values(step: np.ndarray) -> np.ndarray:
    """V[t, points] of a problem whose steps add 0, 1, 2 points with probabilities `step`."""
    values = np.zeros((STEPS + 1, 2 * STEPS + 3))
    values[STEPS, : 2 * STEPS + 1] = (np.arange(2 * STEPS + 1) / (2 * STEPS)) ** 2
    for t in range(STEPS - 1, -1, -1):
        reach = 2 * STEPS + 1
        values[t, :reach] = sum(step[d] * values[t + 1, d : d + reach] for d in range(3))
    return values


@dataclass(frozen=True)
class Simulated:
    """A truth, and the true value (n,) of each of its states."""

    truth: Truth
    value: np.ndarray


def simulate(seed: int, problems: int = 60, rollouts: int = 2, k: int = 16, group: int = 32) -> Simulated:
    """Path states of `rollouts` probe rollouts a problem, sibling triples of some of them, K = `k` draws each."""
    rng = np.random.default_rng(seed)
    rows, group_mean = [], []
    for p in range(problems):
        step = rng.dirichlet([1.0, 1.0, 1.0])
        values = chain_values(step)
        group_mean.append(rng.binomial(group, values[0, 0]) / group)
        for r in range(rollouts):
            points = 0
            for t in range(1, STEPS):
                points += int(rng.choice(3, p=step))
                rows.append((p, "path", p * rollouts + r, t, -1, values[t, points]))
                if t % 3 == 1:
                    parent = len(rows) - 1
                    rows += [(p, "sibling", -1, t + 1, parent, values[t + 1, points + d]) for d in range(3)]
    problem, kind, rollout, step_index, parent, value = (np.array(column) for column in zip(*rows, strict=True))
    total = rng.binomial(k, value).astype(float)
    truth = Truth(
        state_ids=[f"s{i}" for i in range(len(rows))],
        problem_ids=[f"p{i:04d}" for i in range(problems)],
        problem=problem,
        kind=kind,
        rollout=rollout,
        step_index=step_index,
        parent=parent,
        total=total,
        mean=total / k,
        n=np.full(len(rows), k),
        noise=total / k * (1 - total / k) / (k - 1) if k > 1 else np.full(len(rows), np.nan),
        group_mean=np.array(group_mean),
        binary=True,
        missing_returns=0,
    )
    return Simulated(truth, value)


def truth_of(
    problem: Sequence[int],
    returns: Sequence[Sequence[float]],
    *,
    kind: Sequence[str] | str = "path",
    rollout: Sequence[int] | None = None,
    parent: Sequence[int] | None = None,
    group_mean: Sequence[float] | None = None,
) -> Truth:
    """A truth from plain lists; by default path states of one rollout a problem, in order."""
    n = len(problem)
    lengths = [len(row) for row in returns]
    flat = np.array([x for row in returns for x in row], dtype=float)
    total, mean, count, noise = moments(flat, np.cumsum([0, *lengths]))
    problems = max(problem, default=-1) + 1
    return Truth(
        state_ids=[f"s{i}" for i in range(n)],
        problem_ids=[f"p{i}" for i in range(problems)],
        problem=np.array(problem, dtype=np.int64),
        kind=np.array([kind] * n if isinstance(kind, str) else kind, dtype=np.str_),
        rollout=np.array(problem if rollout is None else rollout, dtype=np.int64),
        step_index=np.arange(n),
        parent=np.full(n, -1) if parent is None else np.array(parent, dtype=np.int64),
        total=total,
        mean=mean,
        n=count,
        noise=noise,
        group_mean=np.full(problems, 0.5) if group_mean is None else np.array(group_mean, dtype=float),
        binary=bool(np.isin(flat[~np.isnan(flat)], (0.0, 1.0)).all()),
        missing_returns=int(np.isnan(flat).sum()),
    )


def reordered(truth: Truth, order: np.ndarray) -> Truth:
    """The same states in another order."""
    fields = ("problem", "kind", "rollout", "step_index", "parent", "total", "mean", "n", "noise")
    arrays = {name: getattr(truth, name)[order] for name in fields}
    return replace(truth, state_ids=[truth.state_ids[i] for i in order], **arrays)


Row = tuple[str, str, str | None, str, int, str | None, list[float | None]]


def write_suite(
    folder: Path,
    states: Sequence[Row],
    context: Mapping[str, Sequence[float | None]],
    train: Sequence[float | None] = (0.0, 1.0, 1.0, 1.0),
) -> Suite:
    """A suite on disk; a state is (id, problem, rollout, kind, step, parent, returns)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("state_id", "problem_id", "rollout_id", "kind", "step_index", "parent_state_id")
    rows = [{**dict(zip(names, row[:6], strict=True)), "n_tokens": 1, "token_ids": [1], "text": ""} for row in states]
    truth = [{"state_id": row[0], "return_": row[6]} for row in reversed(states)]
    rollouts = [
        {"rollout_id": f"{p}/{i}", "problem_id": p, "role": role, "return_": r}
        for role, p, returns in [*(("context", p, rs) for p, rs in context.items()), ("train", "train", train)]
        for i, r in enumerate(returns)
    ]
    for name, content in (("states", rows), ("truth", truth), ("rollouts", rollouts)):
        write_table(folder / f"{name}.parquet", table_of(name, content))
    files = {f"{name}.parquet": {"sha256": sha256(folder / f"{name}.parquet")} for name in ("states", "truth")}
    Manifest(
        name="tiny", version="1.0.0", protocol="standard", task={"name": "t"}, policy={"name": "p"}, sampling={},
        counts={}, seed=0, files=files,
    ).write(folder)  # fmt: skip
    return Suite.open(folder)


def write_predictions(
    path: Path,
    suite: Suite,
    ids: Sequence[str],
    values: Sequence[float],
    name: str = "guess",
    checksum: str | None = None,
) -> Path:
    """A predictions file as `estimate` would leave it."""
    info = RunInfo(
        suite=SuiteRef(suite.name, suite.manifest.version, checksum or suite.checksum, "t", "p", "standard"),
        estimator=EstimatorRef(name, name, {}, "", 0),
        budget=[],
        cost=Cost(0.0, 0.0, 0.0, 0.0, 0.0, 0),
        sveb_version="0",
    )
    Predictions(info, list(ids), np.array(values, dtype=np.float64)).write(path)
    return path
