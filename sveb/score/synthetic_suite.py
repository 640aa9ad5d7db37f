"""The synthetic policy as a suite on disk, to test scoring from files as well as from arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.files import sha256
from sveb.common.version import __version__
from sveb.runs.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.score.arrays import FloatArray
from sveb.score.returns import return_statistics
from sveb.score.synthetic import STEPS, Simulated
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite
from sveb.suite.tables import SCHEMAS

_ROWS = 100_000  # written at a time


def write_suite(folder: Path, simulated: Simulated, k: int, group: int, seed: int) -> tuple[Suite, Simulated]:
    """Writes the states with `k` fresh returns each. Returns the suite and the truth from these returns.

    Each problem gets `group` context rollouts whose mean return is its group mean. There are no texts, no
    tokens, no draws for sale and no audit pool.
    """
    truth, rng = simulated.truth, np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    returns = np.concatenate([rng.random((len(v), k)) < v[:, None] for v in _batches(simulated.value)]).astype(
        np.float32
    )
    offsets = np.arange(0, returns.size + 1, k)
    problems = np.array(truth.problem_ids, dtype=object)
    path = truth.kind == "path"
    rollout = [f"r{r}" if r >= 0 else None for r in truth.rollout]
    parent = [truth.state_ids[p] if p >= 0 else None for p in truth.parent]
    right = np.rint(truth.group_mean * group).astype(np.int64)
    wins = np.tile(np.arange(group), len(problems)) < np.repeat(right, group)
    probes = np.unique(truth.rollout[path])
    context = np.repeat(problems, group)
    _write(folder, "problems", problem_id=problems, tier=truth.tier)
    _write(
        folder, "states", state_id=truth.state_ids, problem_id=problems[truth.problem], rollout_id=rollout,
        kind=truth.kind.tolist(), step_index=truth.step_index, n_tokens=truth.n_tokens, parent_state_id=parent,
        next_tokens=truth.next_tokens, next_weight=truth.next_weight,
    )  # fmt: skip
    _write(
        folder, "rollouts",
        rollout_id=[*(f"c{i}" for i in range(len(context))), *(f"r{r}" for r in probes)],
        problem_id=[*context, *[None] * len(probes)],
        role=["context"] * len(context) + ["probe"] * len(probes),
        return_=[*wins.astype(np.float64), *[None] * len(probes)],
        step_ends=[None] * len(context) + [list(range(1, STEPS + 1))] * len(probes),
    )  # fmt: skip
    _write(folder, "draws", state_id=[])
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(returns.ravel()))
    _write(folder, "truth", state_id=truth.state_ids, return_=lists)
    files = {f"{name}.parquet": {"sha256": sha256(folder / f"{name}.parquet")} for name in ("states", "truth")}
    Manifest(
        name="synthetic", version="1.0.0", protocol="standard", task={"name": "chain"}, policy={"name": "chain"},
        sampling={}, counts={}, seed=seed, files=files,
    ).write(folder)  # fmt: skip
    known = replace(
        truth,
        returns=return_statistics(returns.ravel(), offsets),
        pool_mean=np.full(len(truth.n), np.nan),
        pool_n=np.zeros(len(truth.n), dtype=np.int64),
        audit=None,
    )
    return Suite.open(folder), Simulated(known, simulated.value)


def write_predictions(path: Path, suite: Suite, state_ids: list[str], values: FloatArray) -> Path:
    """A predictions file of an estimator named `synthetic`."""
    info = RunInfo(
        suite=SuiteRef(suite.name, suite.manifest.version, suite.checksum, "chain", "chain", "standard"),
        estimator=EstimatorRef("synthetic", "synthetic", {}, "True values with known errors.", 0),
        budget=[],
        cost=Cost(0.0, 0.0, 0.0, 0.0, 0.0, 0),
        sveb_version=__version__,
    )
    Predictions(info, state_ids, values).write(path)
    return path


def _batches(values: FloatArray) -> Iterable[FloatArray]:
    return np.array_split(values, max(1, len(values) // _ROWS))


def _write(folder: Path, name: str, **columns: Any) -> None:
    """A table of the named schema: the given columns, null in all others."""
    rows = max(len(column) for column in columns.values())
    schema = SCHEMAS[name]
    arrays = [
        column if isinstance(column := columns.get(field.name), pa.Array) else
        pa.nulls(rows, field.type) if column is None else pa.array(column, field.type, from_pandas=True)
        for field in schema
    ]  # fmt: skip
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), folder / f"{name}.parquet", compression="zstd")
