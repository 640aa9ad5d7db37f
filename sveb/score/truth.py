"""The truth of a suite as arrays: which states there are, and what their continuations returned.

states.parquet     state_id, problem_id, rollout_id, kind, step_index, parent_state_id
truth.parquet      state_id, return_ (list; null = a continuation that could not be graded)
rollouts.parquet   the context rollouts' returns: the group means that are the zero of `skill`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sveb.core.errors import SvebError
from sveb.core.suite import Suite
from sveb.core.tables import ragged
from sveb.score.arrays import FloatArray, IntArray, count_by, sum_by


@dataclass(frozen=True, eq=False)
class Truth:
    """Everything that scoring needs to know of a suite; n states in the suite's order, P problems sorted by id.

    Per state (n,): `problem` indexes `problem_ids`; `rollout` and `parent` are arbitrary codes (parent -1 = none);
    `total`, `mean` and `n` are the sum, mean and number of the graded returns; `noise` is the sampling variance of
    `mean` (unbiased sample variance / n; NaN where n < 2). `mean` is NaN where no continuation was graded.
    Per problem (P,): `group_mean` of the context rollouts, NaN where there are none.
    `binary`: every graded return of the suite is 0 or 1. `missing_returns` counts the ungraded ones.
    """

    state_ids: list[str]
    problem_ids: list[str]
    problem: IntArray
    kind: npt.NDArray[np.str_]
    rollout: IntArray
    step_index: IntArray
    parent: IntArray
    total: FloatArray
    mean: FloatArray
    n: IntArray
    noise: FloatArray
    group_mean: FloatArray
    binary: bool
    missing_returns: int

    def rows(self, kind: str) -> IntArray:
        """Indices of the states of one kind (root, path or sibling) that have a truth, in the suite's order."""
        return np.flatnonzero((self.kind == kind) & (self.n > 0))


def moments(returns: FloatArray, offsets: IntArray) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Total, mean, number and noise of ragged returns; each (n,).

    `returns` is flat with NaN = missing, row i is returns[offsets[i]:offsets[i + 1]]. The noise of a mean is the
    unbiased sample variance of its n draws divided by n; NaN below two draws.
    """
    rows = len(offsets) - 1
    row = np.repeat(np.arange(rows), np.diff(offsets))
    graded = ~np.isnan(returns)
    row, values = row[graded], returns[graded]
    n, total = count_by(row, rows), sum_by(row, rows, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        squares = sum_by(row, rows, (values - mean[row]) ** 2)
        noise = np.where(n > 1, squares / np.maximum(n - 1, 1) / np.maximum(n, 1), np.nan)
    return total, mean, n, noise


def read_truth(suite: Suite) -> Truth:
    """Reads the columns that scoring needs.

    Raises `SvebError` where the tables contradict each other: a repeated state, a state without a row in the
    truth or the reverse, a sibling without its parent, a path state without its rollout.
    """
    columns = ["state_id", "problem_id", "rollout_id", "kind", "step_index", "parent_state_id"]
    states = suite.table("states", columns).to_pandas()
    table = suite.table("truth", ["state_id", "return_"])
    position = _positions(suite, pd.Index(states["state_id"]), pd.Index(table["state_id"].to_pylist()))
    for kind, column in (("sibling", "parent_state_id"), ("path", "rollout_id")):
        orphans = states.loc[(states["kind"] == kind) & states[column].isna(), "state_id"]
        if len(orphans):
            raise _broken(suite, f"{len(orphans)} {kind} states have no {column}, such as {orphans.iloc[0]!r}")

    flat, offsets = ragged(table["return_"])
    returns = np.asarray(flat, dtype=np.float64)
    total, mean, n, noise = moments(returns, offsets)
    graded = returns[~np.isnan(returns)]
    problem_ids, problem = np.unique(states["problem_id"].to_numpy(dtype=object), return_inverse=True)
    return Truth(
        state_ids=states["state_id"].tolist(),
        problem_ids=problem_ids.tolist(),
        problem=problem.astype(np.int64),
        kind=states["kind"].to_numpy(dtype=np.str_),
        rollout=_codes(states["rollout_id"]),
        step_index=states["step_index"].fillna(-1).to_numpy(dtype=np.int64),
        parent=_codes(states["parent_state_id"]),
        total=total[position],
        mean=mean[position],
        n=n[position],
        noise=noise[position],
        group_mean=np.asarray(suite.group_means.reindex(problem_ids), dtype=np.float64),
        binary=bool(np.isin(graded, (0.0, 1.0)).all()),
        missing_returns=int(returns.size - graded.size),
    )


def _positions(suite: Suite, states: pd.Index, truths: pd.Index) -> IntArray:
    """Row of each state in the truth table; the two must hold the same ids, each once."""
    if not len(states):
        raise _broken(suite, "states.parquet holds no state")
    for name, ids in (("states", states), ("truth", truths)):
        if not ids.is_unique:
            raise _broken(suite, f"{name}.parquet names state {ids[ids.duplicated()][0]!r} more than once")
    for without, found in (("truth", states.difference(truths)), ("states", truths.difference(states))):
        if len(found):
            raise _broken(suite, f"{len(found)} states have no row in {without}.parquet, such as {found[0]!r}")
    return np.asarray(truths.get_indexer(states), dtype=np.int64)


def _codes(column: pd.Series[str]) -> IntArray:
    return np.asarray(pd.factorize(column)[0], dtype=np.int64)


def _broken(suite: Suite, what: str) -> SvebError:
    return SvebError(f"suite {suite.path} cannot be scored: {what}; `sveb suite verify` lists what is wrong with it")
