"""Single states: the interval of a state's true value, and the squared error of a prediction for it.

v is the prediction for a state, g the mean of its truth's returns, s2 the sampling variance of g, V its true value.
"""

from __future__ import annotations

import math

import numpy as np

from sveb.score.arrays import FloatArray, IntArray
from sveb.score.truth import Truth


def truth_intervals(truth: Truth, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """95 % intervals of the true values of the states `rows`; two arrays (len(rows),), in [0, 1].

    For returns of 0 or 1 it is Jeffreys' interval, from the Beta(wins + 1/2, losses + 1/2) posterior; the low end is 0
    without a win and the high end is 1 without a loss (Brown, Cai and DasGupta 2001, "Interval Estimation for a
    Binomial Proportion", section 4.3). For other returns it is the mean +- 1.96 standard errors, NaN for a state with
    one return.
    """
    g, n, total = truth.mean[rows], truth.n[rows], truth.returns.total[rows]
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


def raw_errors(truth: Truth, values: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """(v - g)^2 of the states `rows` (len(rows),), the mean over the seeds of `values` (n,) or (S, n).

    Second, its mean over the states with each seed: (S,), one for (n,).
    """
    with np.errstate(over="ignore"):
        squares = (np.atleast_2d(values)[:, rows] - truth.mean[rows]) ** 2
        return squares.mean(axis=0), squares.sum(axis=1) / max(len(rows), 1)


def group_mse(truth: Truth) -> float:
    """Corrected mse of the group mean over path states; NaN if it does not exist."""
    rows = truth.rows("path")
    return float(squared_errors(truth, truth.group_mean[truth.problem], rows).mean()) if len(rows) else math.nan
