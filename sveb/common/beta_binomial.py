"""The beta-binomial model: successes of n rollouts whose success rate is drawn from a Beta(a, b) distribution."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.integer] | npt.NDArray[np.floating]
FloatArray = npt.NDArray[np.float64]

_LEAST, _MOST = 1e-2, 1e4  # of a + b: low = groups are all or nothing, high = all have the same success rate
_POINTS, _ROUNDS = 13, 8


def log_likelihood(sums: Numbers, counts: Numbers, a: FloatArray, b: FloatArray) -> FloatArray:
    """log of B(sum + a, count - sum + b) / B(a, b), elementwise: the log likelihood of the returns in their order.

    A return between 0 and 1 counts as that share of a success.
    """
    from scipy.special import betaln

    return np.asarray(betaln(sums + a, counts - sums + b) - betaln(a, b))


def total_log_likelihood(sums: Numbers, counts: Numbers, a: FloatArray, b: FloatArray) -> FloatArray:
    """For each prior (a, b), (n_priors,), the sum of `log_likelihood` over groups (n_groups,)."""
    groups, times = np.unique(np.column_stack([sums, counts]), axis=0, return_counts=True)
    total: FloatArray = times @ log_likelihood(groups[:, :1], groups[:, 1:], a[None, :], b[None, :])
    return total


def fit_beta(sums: Numbers, counts: Numbers) -> tuple[float, float]:
    """a and b of the prior under which `sums` successes of `counts` rollouts are most likely; a + b in [.01, 10000].

    Searches a grid over the logit of a / (a + b) and log(a + b), and narrows it around its best point. It needs no
    derivatives and no starting point.
    """
    centre, half = np.array([0.0, math.log(_LEAST * _MOST) / 2]), np.array([6.0, math.log(_MOST / _LEAST) / 2])
    low, high = centre - half, centre + half
    for _ in range(_ROUNDS):
        axes = [
            np.linspace(max(c - h, least), min(c + h, most), _POINTS)
            for c, h, least, most in zip(centre, half, low, high, strict=True)
        ]
        logit, log_total = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        mean, total = 1 / (1 + np.exp(-logit)), np.exp(log_total)
        a, b = mean * total, (1 - mean) * total
        best = int(np.argmax(total_log_likelihood(sums, counts, a, b)))
        centre, half = np.array([logit[best], log_total[best]]), half * 2.5 / (_POINTS - 1)
    return float(a[best]), float(b[best])
