"""Ranks with their uncertainty: paired max-t intervals over all pairs of entries, with joint 95 % coverage.

An entry's rank is an interval. Its low end is 1 + the number of entries that are significantly better. Its high end is
the number of all entries - the number of those that are significantly worse. In 95 % of suites the intervals of all
paired differences are right at the same time, and then all rank intervals are right too (Mogstad, Romano, Shaikh and
Wilhelm 2024, "Inference for Ranks with Applications to Mobility across Neighbourhoods and Academic Achievement across
Countries"). A bootstrap of each rank alone does not give this: for entries that are nearly tied it covers far less.

The mse of an entry with several training seeds is their mean, and its intervals contain their spread (seed_spread.py).
The half-widths over seeds of the entries hold for all m entries with several seeds at once (level .95^(1/m) each). The
sum of those of a pair is added in quadrature to the pair's half-width over problems. It is added after the max-t test
and not to the standard errors in it: Student's t of few seeds has long tails, and one critical value for all pairs
would be so large that entries with one seed could not be ranked either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError
from sveb.runs.predictions import Predictions
from sveb.score.align import align
from sveb.score.arrays import BoolArray, CountArray, FloatArray, IntArray, sum_by
from sveb.score.bootstrap import LEVEL, Resamples, resample
from sveb.score.seed_spread import half_width
from sveb.score.state_errors import raw_errors
from sveb.score.truth import Truth, read_truth
from sveb.suite.suite import Suite

POWER = 0.8
# Of the data's standard error: a replicate without the few problems where two entries differ would have none at all.
_LEAST_ERROR = 0.5
# Of the largest mse: smaller differences are rounding. They separate no entries, and are not divided by standard errors
# that are rounding too.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Ranking:
    """m entries, best (lowest mse) first; arrays (m,) and (m, m) in that order.

    `difference` is mse of row - mse of column, `low` and `high` its joint 95 % interval. Two entries are separated if
    this interval does not contain 0. `rank_low` <= rank <= `rank_high`. Entries that are not separated share a
    `tie_group` (1 = best), also if they are connected only through other entries. So entries of different groups are
    always separated. `problems_needed`: how many problems of this kind would separate the pair with probability POWER,
    if the difference is as large as here; NaN if it is zero, inf if the seeds' spread hides it with any number.
    """

    names: list[str]
    difference: FloatArray
    low: FloatArray
    high: FloatArray
    rank_low: IntArray
    rank_high: IntArray
    tie_group: IntArray
    problems_needed: FloatArray

    @property
    def separated(self) -> BoolArray:
        """Pairs that the suite separates; (m, m)."""
        return (self.low > 0) | (self.high < 0)

    def needed(self, a: str, b: str) -> float:
        """`problems_needed` of two entries."""
        return float(self.problems_needed[self.names.index(a), self.names.index(b)])


def rank(suite: Suite, predictions: Mapping[str, Path], *, allow_missing: bool = False) -> Ranking:
    """Ranks predictions files of one suite, by mse over path states.

    Raises `SvebError` if a file cannot be scored, as `score` does, or if the suite has no path states.
    """
    truth = read_truth(suite)
    values = {}
    for name, path in predictions.items():
        values[name], _ = align(Predictions.read(path), truth, suite, path, allow_missing=allow_missing)
    return rank_values(truth, values, resample(len(truth.problem_ids)))


def rank_values(truth: Truth, values: Mapping[str, FloatArray], resamples: Resamples) -> Ranking:
    """Ranks finite values (n,), or (S, n) with S seeds, in the truth's order, by name. Equal errors: sorted by name."""
    rows, size = truth.rows("path"), len(truth.problem_ids)
    if not len(rows):
        raise SvebError("entries cannot be ranked: the suite has no path states")
    problem = truth.problem[rows]
    both = [raw_errors(truth, v, rows) for v in values.values()]
    errors = np.stack([sum_by(problem, size, of_states) for of_states, _ in both], axis=1)
    of_seeds = joint_half_widths([by_seed for _, by_seed in both])
    names = list(values)
    order = sorted(range(len(names)), key=lambda i: (errors[:, i].sum(), names[i]))
    states = sum_by(problem, size, np.ones(len(rows)))
    return rank_sums([names[i] for i in order], errors[:, order], states, resamples, of_seeds[order])


def joint_half_widths(by_seed: Sequence[FloatArray]) -> FloatArray:
    """Half-widths over seeds of the entries' mse (m,), from those of each seed (S,), right for all entries at once."""
    several = sum(len(each) > 1 for each in by_seed)
    return np.array([half_width(each, LEVEL ** (1 / max(several, 1))) for each in by_seed])


def rank_sums(
    names: list[str], errors: FloatArray, states: FloatArray, resamples: Resamples, of_seeds: FloatArray | None = None
) -> Ranking:
    """Ranks from squared errors summed by problem (P, m), best first, and numbers of states (P,).

    The truth's noise is the same in the errors of all entries, so it cancels in their differences. `of_seeds` (m,): the
    half-widths over seeds of each entry's mse; by default none.
    """
    counts = resamples.counts[: 1 + resamples.replicates]
    drawn = counts @ states
    kept = counts[drawn > 0]  # a resample of problems without path states has no mse
    mse = _products(kept, errors) / drawn[drawn > 0][:, None]
    difference = mse[0][:, None] - mse[0]
    difference[np.abs(difference) <= _ROUNDING * mse.max()] = 0.0
    error, critical = _studentised(kept, mse, errors, states)
    # one problem has no spread, so it separates no entries
    over_problems = critical * error if resamples.problems > 1 else error + math.inf
    of_seeds = np.zeros(len(names)) if of_seeds is None else of_seeds
    of_pair = of_seeds[:, None] + of_seeds
    half = np.hypot(over_problems, of_pair)
    low, high = difference - half, difference + half
    better, worse = high < 0, low > 0
    count = len(names)
    power = _normal_quantile(POWER)
    left = np.sqrt(np.maximum(difference**2 - of_pair**2, 0))  # more problems do not narrow the seeds' part
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.ceil(resamples.problems * ((over_problems + power * error) / left) ** 2)
    return Ranking(
        names=names,
        difference=difference,
        low=low,
        high=high,
        rank_low=1 + worse.sum(axis=1),
        rank_high=count - better.sum(axis=1),
        tie_group=_groups(better | worse),
        problems_needed=np.where(difference != 0, needed, np.nan),
    )


def _products(counts: CountArray, matrix: FloatArray) -> FloatArray:
    step = max(1, 8_000_000 // max(counts.shape[1], 1))
    return np.concatenate(
        [counts[start : start + step].astype(np.float64) @ matrix for start in range(0, len(counts), step)]
    )


def _studentised(
    counts: CountArray, mse: FloatArray, errors: FloatArray, states: FloatArray
) -> tuple[FloatArray, float]:
    """Standard errors of all paired differences (m, m), and how many of them contain all differences at once.

    `counts` (R, P), its first row the data; `mse` (R, m). Each replicate's deviations are divided by the standard
    errors of the same replicate (bootstrap-t). Divided by the data's, they were too small at 60 problems, because a
    sample without the few problems where two entries differ most has both a small difference and a small error. The
    number is the quantile over the replicates of the largest of these ratios. Measured, it was still slightly small,
    and is moved half of the way to Student's t.

    A standard error is that of a ratio of two sums over problems: sqrt(sum (u - d n)^2) / sum n, where u is the
    difference of two entries' errors on a problem, n its states and d the difference of their mse.
    """
    size = errors.shape[1]
    error, largest = np.zeros((size, size)), np.zeros(len(counts))
    total = _products(counts, np.column_stack([states, states**2]))
    of_states = _products(counts, errors * states[:, None])
    problems = counts.shape[1]
    for i in range(size - 1):
        apart = errors[:, i : i + 1] - errors[:, i + 1 :]
        d = mse[:, i : i + 1] - mse[:, i + 1 :]
        squares = _products(counts, apart**2) + d**2 * total[:, 1:]
        squares -= 2 * d * (of_states[:, i : i + 1] - of_states[:, i + 1 :])
        errors_here = np.sqrt(np.maximum(squares, 0) * problems / max(problems - 1, 1)) / total[:, :1]
        error[i, i + 1 :] = error[i + 1 :, i] = errors_here[0]
        floor = _LEAST_ERROR * errors_here[0]
        deviation = np.abs(d - d[0])
        deviation[deviation <= _ROUNDING * mse.max()] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            t = deviation / np.maximum(errors_here, floor)
        np.maximum(largest, np.nan_to_num(t, nan=0.0).max(axis=1, initial=0.0), out=largest)
    if problems < 2 or len(largest) < 2:
        return error, math.inf
    joint = float(np.quantile(largest[1:], LEVEL, method="higher"))
    return error, (joint + _students_t(joint, problems)) / 2


def _students_t(z: float, problems: int) -> float:
    """The quantile of Student's t at the level where the normal distribution has the quantile z."""
    from scipy.special import ndtr, stdtrit

    return float(stdtrit(problems - 1, ndtr(z)))


def _normal_quantile(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))


def _groups(separated: BoolArray) -> IntArray:
    """Numbers from 1, best first: connected components of the pairs that are not separated; (m,)."""
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(~separated, directed=False)
    _, first = np.unique(label, return_index=True)
    place = np.argsort(np.argsort(first))
    return np.asarray(place[label] + 1, dtype=np.int64)
