"""The figures of a report that results.json does not hold, from the predictions and the truth.

v is the prediction for a state, g the mean of its truth draws, s2 the sampling variance of g, V its true value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sveb.runs.results import Estimate
from sveb.score.arrays import FloatArray, IntArray, sum_by
from sveb.score.bootstrap import Resamples, estimate, resampled_sums
from sveb.score.calibration import equal_mass_bins
from sveb.score.metrics import ratio
from sveb.score.ordering import Pairs, agreement, pairings
from sveb.score.slices import SMALL
from sveb.score.truth import Truth

CELLS = 25
FEW_STATES = 120
SAMPLE = 60
GAP_EDGES = (0.0, 0.05, 0.1, 0.2, 0.4, 1.0)


@dataclass(frozen=True)
class Bin:
    """Path states of about equal predictions: their mean prediction and, with its interval, their mean truth."""

    states: int
    problems: int
    predicted: float
    truth: Estimate


@dataclass(frozen=True, eq=False)
class Cloud:
    """Predictions against truth of the path states.

    `cells` (CELLS, CELLS) counts states by prediction (rows) and by truth (columns), both from 0 to 1; a prediction
    outside counts at the edge, `outside` tells how many there are. Of the `sample`, spread evenly over the predictions,
    each state has v, g and the 95 % interval of its truth (m, 4).
    """

    states: int
    cells: IntArray
    sample: FloatArray
    outside: int

    @property
    def whole(self) -> bool:
        """The sample holds all states."""
        return len(self.sample) == self.states


@dataclass(frozen=True)
class GapBin:
    """Pairs of states whose truths lie between `low` and `high` apart.

    `agreement`: expected share of these pairs in true order, ties counting half: .5 = chance. `ceiling`: the most that
    the truth's draws can certify.
    """

    low: float
    high: float
    pairs: int
    problems: int
    agreement: Estimate
    ceiling: float

    @property
    def small(self) -> bool:
        """From so few problems that its interval is rough."""
        return self.problems < SMALL


def reliability(truth: Truth, values: FloatArray, resamples: Resamples) -> list[Bin]:
    """Ten bins of equally many path states by prediction `values` (n,), lowest first, none empty.

    The bins are drawn once; the intervals resample problems.
    """
    rows = truth.rows("path")
    v, g, problem = values[rows], truth.mean[rows], truth.problem[rows]
    return [
        Bin(
            int(inside.sum()), len(np.unique(problem[inside])), float(v[inside].mean()),
            _mean(g[inside], problem[inside], resamples),
        )
        for inside in _masks(equal_mass_bins(v))
    ]  # fmt: skip


def cloud(truth: Truth, values: FloatArray) -> Cloud:
    """Where predictions `values` (n,) lie against the truth."""
    rows = truth.rows("path")
    v, g = values[rows], truth.mean[rows]

    def cell(x: FloatArray) -> IntArray:
        return np.clip(np.floor(np.clip(x, 0, 1) * CELLS), 0, CELLS - 1).astype(np.int64)

    cells = np.bincount(cell(v) * CELLS + cell(g), minlength=CELLS**2).reshape(CELLS, CELLS)
    order = np.lexsort((rows, g, v))
    if len(order) > FEW_STATES:
        order = order[((np.arange(SAMPLE) + 0.5) * len(order) / SAMPLE).astype(np.int64)]
    low, high = truth_intervals(truth, rows[order])
    sample = np.column_stack([v[order], g[order], low, high])
    return Cloud(len(rows), cells, sample, int(((v < 0) | (v > 1)).sum()))


def order_by_gap(truth: Truth, values: FloatArray, resamples: Resamples, kind: str) -> list[GapBin]:
    """How often pairs of `kind` (steps or siblings) stand in true order, by how far apart their truths are.

    Bins without pairs are not there.
    """
    pairs: Pairs = pairings(truth)[kind]
    agreed, ceiling = agreement(pairs, values), np.maximum(pairs.q, 1 - pairs.q)
    gap, problem = np.abs(truth.mean[pairs.first] - truth.mean[pairs.second]), truth.problem[pairs.first]
    # a gap of .1 is a difference of two means: it must not fall below .1 by a rounding error
    which = np.clip(np.searchsorted(GAP_EDGES, gap + 1e-9, side="right") - 1, 0, len(GAP_EDGES) - 2)
    return [
        GapBin(
            GAP_EDGES[k], GAP_EDGES[k + 1], int(inside.sum()), len(np.unique(problem[inside])),
            _mean(agreed[inside], problem[inside], resamples),
            float(ceiling[inside].mean()),
        )
        for k in range(len(GAP_EDGES) - 1)
        if (inside := which == k).any()
    ]  # fmt: skip


def truth_intervals(truth: Truth, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """95 % intervals of the true values of the states `rows`; two arrays (len(rows),), in [0, 1].

    For returns of 0 or 1 Jeffreys' interval, from the Beta(wins + 1/2, losses + 1/2) posterior, open to 0 without a win
    and to 1 without a loss (Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial Proportion", section
    4.3). For others the mean and 1.96 standard errors on either side, NaN for a state with one return.
    """
    g, n, total = truth.mean[rows], truth.n[rows], truth.draws.total[rows]
    if not truth.binary:
        half = 1.959964 * np.sqrt(truth.noise[rows])
        return np.clip(g - half, 0, 1), np.clip(g + half, 0, 1)
    from scipy.special import betaincinv

    a, b = total + 0.5, n - total + 0.5
    low = np.where(total > 0, betaincinv(a, b, 0.025), 0.0)
    high = np.where(total < n, betaincinv(a, b, 0.975), 1.0)
    return low, high


def squared_errors(truth: Truth, values: FloatArray, rows: IntArray) -> FloatArray:
    """(v - g)^2 - s2 of the states `rows`: unbiased for (v - V)^2; (len(rows),). s2 counts as 0 where it is unknown."""
    with np.errstate(over="ignore"):
        return np.asarray((values[rows] - truth.mean[rows]) ** 2 - np.nan_to_num(truth.noise[rows], nan=0.0))


def group_mse(truth: Truth) -> float:
    """Corrected mse of the group mean over path states; NaN where it does not exist."""
    rows = truth.rows("path")
    return float(squared_errors(truth, truth.group_mean[truth.problem], rows).mean()) if len(rows) else math.nan


def _masks(bins: IntArray) -> Iterator[np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    for k in np.unique(bins):
        yield bins == k


def _mean(values: FloatArray, problem: IntArray, resamples: Resamples) -> Estimate:
    """Mean of `values` with an interval over problems."""
    size = resamples.problems
    terms = {"total": values, "n": np.ones(len(values))}
    sums = resampled_sums({name: sum_by(problem, size, term) for name, term in terms.items()}, resamples)
    return estimate(
        ratio(sums["total"], sums["n"]), resamples, "no problem of this part was drawn",
        problems=len(np.unique(problem)),
    )  # fmt: skip
