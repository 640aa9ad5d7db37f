"""Does the estimator order states like the truth? For pairs of consecutive steps, of siblings and within a problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sveb.common.posterior import RESOLVED, pair_probability
from sveb.score.arrays import BoolArray, FloatArray, IntArray, count_by, starts_of_runs, sum_by
from sveb.score.truth import Truth


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of states; `first`, `second` (m,) index the truth's states, `q` = P(V_first > V_second | draws)."""

    first: IntArray
    second: IntArray
    q: FloatArray

    @property
    def resolved(self) -> BoolArray:
        """Resolved pairs, whose order the draws decide: q > .95 or q < .05; (m,)."""
        return np.maximum(self.q, 1 - self.q) > RESOLVED


# All predictions are scored on the same truth object (compared by identity), and its pairs do not change.
@lru_cache(maxsize=1)
def pairings(truth: Truth) -> dict[str, Pairs]:
    """The three sets of pairs that are scored: `steps`, `siblings`, `within`."""
    return {"steps": step_pairs(truth), "siblings": sibling_pairs(truth), "within": problem_pairs(truth)}


def step_pairs(truth: Truth) -> Pairs:
    """Path states of one rollout that are one step apart: `first` after k steps, `second` after k + 1."""
    return _with_order(truth, *consecutive(truth))


def consecutive(truth: Truth) -> tuple[IntArray, IntArray]:
    """The path states after k and after k + 1 steps of the same rollout, for all k; two arrays (m,)."""
    rows = by_rollout(truth)
    step, rollout = truth.step_index[rows], truth.rollout[rows]
    next_one = (np.diff(rollout) == 0) & (np.diff(step) == 1)
    return rows[:-1][next_one], rows[1:][next_one]


def by_rollout(truth: Truth) -> IntArray:
    """The path states that have a truth, rollout by rollout, each in the order of its steps."""
    rows = truth.rows("path")
    order: IntArray = np.lexsort((truth.step_index[rows], truth.rollout[rows]))
    return np.asarray(rows[order], dtype=np.int64)


def sibling_rows(truth: Truth) -> IntArray:
    """Sibling states that share their parent with at least one other, sorted by parent."""
    rows = truth.rows("sibling")
    rows = rows[np.argsort(truth.parent[rows], kind="stable")]
    size = np.bincount(truth.parent[rows], minlength=1)
    return rows[size[truth.parent[rows]] > 1]


def sibling_pairs(truth: Truth) -> Pairs:
    """All pairs of sibling states that share a parent."""
    rows = sibling_rows(truth)
    return _pairs(truth, rows, truth.parent[rows])


def problem_pairs(truth: Truth) -> Pairs:
    """All pairs of path states of one problem."""
    rows = truth.rows("path")
    rows = rows[np.argsort(truth.problem[rows], kind="stable")]
    return _pairs(truth, rows, truth.problem[rows])


def _pairs(truth: Truth, rows: IntArray, group: IntArray) -> Pairs:
    """All pairs of `rows` (sorted by `group`) that share a group."""
    firsts, seconds = [rows[:0]], [rows[:0]]
    for lag in range(1, len(rows) + 1):
        same = group[lag:] == group[:-lag]
        if not same.any():
            break
        firsts.append(rows[:-lag][same])
        seconds.append(rows[lag:][same])
    return _with_order(truth, np.concatenate(firsts), np.concatenate(seconds))


def _with_order(truth: Truth, first: IntArray, second: IntArray) -> Pairs:
    q = pair_probability(truth.returns.total, truth.mean, truth.n, truth.noise, first, second, truth.binary)
    return Pairs(first, second, q)


def agreement(pairs: Pairs, values: FloatArray) -> FloatArray:
    """q [v_a > v_b] + (1 - q) [v_a < v_b] + 1/2 [v_a = v_b] of each pair; (m,), in [0, 1]."""
    a, b = values[pairs.first], values[pairs.second]
    return np.where(a > b, pairs.q, np.where(a < b, 1 - pairs.q, 0.5))


def order_statistics(truth: Truth, pairs: Pairs, values: FloatArray, prefix: str) -> dict[str, FloatArray]:
    """Per problem (P,): number of pairs and, over all pairs and over the resolved, sums of agreement and its ceiling.

    The ceiling of a pair is max(q, 1 - q): the expected agreement of the best guess about its order. `untied` is 1 for
    a problem with a pair whose two values differ, and `resolved_untied` for one with a resolved pair of this kind.
    `falls` and `rises` divide the resolved pairs by q, the probability that V falls from `first` to `second`.
    """
    problem, size = truth.problem[pairs.first], len(truth.problem_ids)
    resolved = pairs.resolved.astype(np.float64)
    agreed, ceiling = agreement(pairs, values), np.maximum(pairs.q, 1 - pairs.q)
    falls, rises = resolved * pairs.q, resolved * (1 - pairs.q)
    said_to_fall = (np.sign(values[pairs.first] - values[pairs.second]) + 1) / 2
    columns = {
        "pairs": np.ones(len(problem)),
        "resolved": resolved,
        "agreement": resolved * agreed,
        "ceiling": resolved * ceiling,
        "soft_agreement": agreed,
        "soft_ceiling": ceiling,
        "falls": falls,
        "rises": rises,
        "falls_agreed": falls * said_to_fall,
        "rises_agreed": rises * (1 - said_to_fall),
        "falls_ceiling": falls * (pairs.q > 0.5),
        "rises_ceiling": rises * (pairs.q < 0.5),
    }
    differ = values[pairs.first] != values[pairs.second]
    informed = {"untied": differ, "resolved_untied": differ & pairs.resolved}
    return {f"{prefix}_{k}": sum_by(problem, size, w) for k, w in columns.items()} | {
        f"{prefix}_{k}": (count_by(problem[w], size) > 0).astype(np.float64) for k, w in informed.items()
    }


def gap_statistics(truth: Truth, pairs: Pairs, values: FloatArray) -> dict[str, FloatArray]:
    """Per problem (P,): sum over pairs of sgn(v_a - v_b) (g_a - g_b), and the same for an oracle on half of the draws.

    The oracle orders pairs by one half of the draws and is scored on the other half, then the reverse. So no draw is
    used both to order and to score.
    """
    problem, size = truth.problem[pairs.first], len(truth.problem_ids)

    def gap(x: FloatArray) -> FloatArray:
        return np.asarray(x[pairs.first] - x[pairs.second], dtype=np.float64)

    first, second = gap(truth.returns.first), gap(truth.returns.second)
    oracle = (np.sign(first) * second + np.sign(second) * first) / 2
    return {
        "gap": sum_by(problem, size, np.sign(gap(values)) * gap(truth.mean)),
        "gap_oracle": sum_by(problem, size, oracle),
    }


def top1_statistics(truth: Truth, values: FloatArray) -> dict[str, FloatArray]:
    """Per problem (P,): sibling groups, and over them the sums of P(the step best by value is best by truth) and of
    the truth lost by taking it.

    Ties count by fractions: the share of the steps with the highest value that also have the highest truth, and the
    mean truth of these steps. So a constant scores the same as a random choice.
    """
    rows, size = sibling_rows(truth), len(truth.problem_ids)
    if not len(rows):
        return {name: np.zeros(size) for name in ("top1", "regret", "groups")}
    starts = starts_of_runs(truth.parent[rows])
    sizes = np.diff(np.append(starts, len(rows)))
    g = truth.mean[rows]

    def best(x: FloatArray) -> FloatArray:
        return np.asarray(x == np.repeat(np.maximum.reduceat(x, starts), sizes), dtype=np.float64)

    chosen, right = best(values[rows]), best(g)
    choices = np.add.reduceat(chosen, starts)
    # the loss of each step before its mean: exactly 0 where the best was taken
    loss = np.repeat(np.maximum.reduceat(g, starts), sizes) - g
    problem = truth.problem[rows[starts]]
    return {
        "top1": sum_by(problem, size, np.add.reduceat(chosen * right, starts) / choices),
        "regret": sum_by(problem, size, np.add.reduceat(chosen * loss, starts) / choices),
        "groups": sum_by(problem, size, np.ones(len(problem))),
    }
