"""Does the estimator order steps as the truth does? Pairs of consecutive steps and of sibling steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sveb.score.arrays import BoolArray, FloatArray, IntArray, starts_of_runs, sum_by
from sveb.score.posterior import pair_probability
from sveb.score.truth import Truth

RESOLVED = 0.95


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of states; `first`, `second` (m,) index the truth's states, `q` = P(V_first > V_second | draws)."""

    first: IntArray
    second: IntArray
    q: FloatArray

    @property
    def resolved(self) -> BoolArray:
        """Pairs whose order the draws settle: q > .95 or q < .05; (m,)."""
        return np.maximum(self.q, 1 - self.q) > RESOLVED


def step_pairs(truth: Truth) -> Pairs:
    """Neighbouring path states of one rollout, in order of step_index."""
    rows = truth.rows("path")
    rows = rows[np.lexsort((truth.step_index[rows], truth.rollout[rows]))]
    return _pairs(truth, rows, truth.rollout[rows], max_lag=1)


def sibling_rows(truth: Truth) -> IntArray:
    """Sibling states that share their parent with at least one other, sorted by parent."""
    rows = truth.rows("sibling")
    rows = rows[np.argsort(truth.parent[rows], kind="stable")]
    size = np.bincount(truth.parent[rows], minlength=1)
    return rows[size[truth.parent[rows]] > 1]


def sibling_pairs(truth: Truth) -> Pairs:
    """All pairs of sibling states that share a parent."""
    rows = sibling_rows(truth)
    return _pairs(truth, rows, truth.parent[rows], max_lag=len(rows))


def _pairs(truth: Truth, rows: IntArray, group: IntArray, max_lag: int) -> Pairs:
    """Pairs of `rows` (sorted by `group`) that share a group and stand at most `max_lag` places apart."""
    firsts, seconds = [rows[:0]], [rows[:0]]
    for lag in range(1, max_lag + 1):
        same = group[lag:] == group[:-lag]
        if not same.any():
            break
        firsts.append(rows[:-lag][same])
        seconds.append(rows[lag:][same])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    q = pair_probability(truth.total, truth.mean, truth.n, truth.noise, first, second, truth.binary)
    return Pairs(first, second, q)


def agreement(pairs: Pairs, values: FloatArray) -> FloatArray:
    """q [v_a > v_b] + (1 - q) [v_a < v_b] + 1/2 [v_a = v_b] of each pair; (m,), in [0, 1]."""
    a, b = values[pairs.first], values[pairs.second]
    return np.where(a > b, pairs.q, np.where(a < b, 1 - pairs.q, 0.5))


def order_statistics(truth: Truth, pairs: Pairs, values: FloatArray, prefix: str) -> dict[str, FloatArray]:
    """Per problem (P,): all pairs, resolved pairs, and over the resolved the sums of agreement and of its ceiling.

    The ceiling of a pair is max(q, 1 - q): what the best guess about its order expects.
    """
    problem, size = truth.problem[pairs.first], len(truth.problem_ids)
    resolved = pairs.resolved.astype(np.float64)
    columns = {
        "pairs": np.ones(len(problem)),
        "resolved": resolved,
        "agreement": resolved * agreement(pairs, values),
        "ceiling": resolved * np.maximum(pairs.q, 1 - pairs.q),
    }
    return {f"{prefix}_{k}": sum_by(problem, size, w) for k, w in columns.items()}


def top1_statistics(truth: Truth, values: FloatArray) -> dict[str, FloatArray]:
    """Per problem (P,): sibling groups, and the sum over them of P(the step best by value is best by truth).

    Ties count by fractions: of the steps that share the highest value, the share that have the highest truth; a
    constant scores what a random choice would.
    """
    rows, size = sibling_rows(truth), len(truth.problem_ids)
    if not len(rows):
        return {"top1": np.zeros(size), "groups": np.zeros(size)}
    starts = starts_of_runs(truth.parent[rows])
    sizes = np.diff(np.append(starts, len(rows)))

    def best(x: FloatArray) -> FloatArray:
        return np.asarray(x == np.repeat(np.maximum.reduceat(x, starts), sizes), dtype=np.float64)

    chosen, right = best(values[rows]), best(truth.mean[rows])
    hit = np.add.reduceat(chosen * right, starts) / np.add.reduceat(chosen, starts)
    problem = truth.problem[rows[starts]]
    return {
        "top1": sum_by(problem, size, hit),
        "groups": sum_by(problem, size, np.ones(len(problem))),
    }
