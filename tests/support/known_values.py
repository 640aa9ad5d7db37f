"""Truths from plain lists, and small suites and predictions on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from sveb.common.files import sha256
from sveb.runs.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.score.truth import Truth
from sveb.score.truth_draws import Draws, draw_statistics
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite
from sveb.suite.tables import table_of, write_table


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
    problems = max(problem, default=-1) + 1
    return Truth(
        state_ids=[f"s{i}" for i in range(n)],
        problem_ids=[f"p{i}" for i in range(problems)],
        problem=np.array(problem, dtype=np.int64),
        kind=np.array([kind] * n if isinstance(kind, str) else kind, dtype=np.str_),
        rollout=np.array(problem if rollout is None else rollout, dtype=np.int64),
        step_index=np.arange(n),
        parent=np.full(n, -1) if parent is None else np.array(parent, dtype=np.int64),
        position=np.full(n, np.nan),
        n_tokens=np.arange(n),
        draws=draw_statistics(flat, np.cumsum([0, *lengths])),
        pool_mean=np.full(n, np.nan),
        pool_n=np.zeros(n, dtype=np.int64),
        group_mean=np.full(problems, 0.5) if group_mean is None else np.array(group_mean, dtype=float),
        tier=[None] * problems,
        binary=bool(np.isin(flat[~np.isnan(flat)], (0.0, 1.0)).all()),
        missing_returns=int(np.isnan(flat).sum()),
    )


def reordered(truth: Truth, order: np.ndarray) -> Truth:
    """The same states in another order."""
    columns = ("problem", "kind", "rollout", "step_index", "parent", "position", "n_tokens", "pool_mean", "pool_n")
    arrays = {name: getattr(truth, name)[order] for name in columns}
    arrays["parent"] = np.where(arrays["parent"] < 0, -1, np.argsort(order)[arrays["parent"]])
    draws = Draws(**{f.name: getattr(truth.draws, f.name)[order] for f in fields(Draws)})
    return replace(truth, state_ids=[truth.state_ids[i] for i in order], draws=draws, **arrays)


Row = tuple[str, str, str | None, str, int, str | None, list[float | None]]


def write_suite(
    folder: Path,
    states: Sequence[Row],
    context: Mapping[str, Sequence[float | None]],
    train: Sequence[float | None] = (0.0, 1.0, 1.0, 1.0),
    tier: str | None = None,
    draws: Mapping[str, Sequence[float | None]] | None = None,
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
    rollouts += [
        {"rollout_id": r, "problem_id": p, "role": "probe", "step_ends": list(range(1, 11))}
        for r, p in dict.fromkeys((row[2], row[1]) for row in states)
        if r is not None
    ]
    problems = [{"problem_id": p, "tier": tier} for p in dict.fromkeys(row[1] for row in states)]
    pool = [{"state_id": i, "draw_index": j, "return_": r} for i, rs in (draws or {}).items() for j, r in enumerate(rs)]
    tables = {"states": rows, "truth": truth, "rollouts": rollouts, "problems": problems, "draws": pool}
    for name, content in tables.items():
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
