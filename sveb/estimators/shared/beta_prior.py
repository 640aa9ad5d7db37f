"""The beta-binomial model: how often do n rollouts succeed when the success rate itself is drawn from a Beta."""

from __future__ import annotations

import math

import numpy as np

from sveb.contract.problem import Values

_LEAST, _MOST = 1e-2, 1e4  # a + b: below, groups are all or nothing; above, all alike
_POINTS, _ROUNDS = 13, 8
_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def log_beta(a: Values, b: Values) -> Values:
    """log B(a, b), elementwise."""
    found: Values = _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)
    return found


def log_likelihood(sums: Values, counts: Values, a: Values, b: Values) -> Values:
    """log of B(sum + a, count - sum + b) / B(a, b), elementwise: of rollouts with these returns, in their order.

    Returns between 0 and 1 count as that share of a success.
    """
    return log_beta(sums + a, counts - sums + b) - log_beta(a, b)


def fit_beta(sums: Values, counts: Values) -> tuple[float, float]:
    """a and b of the prior under which `sums` successes of `counts` rollouts are likeliest, a + b in [.01, 10000].

    A grid over the logit of a / (a + b) and log(a + b), narrowed around its best point: no derivatives, no start.
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
        likelihoods = _total_likelihood(sums, counts, a, b)
        best = int(np.argmax(likelihoods))
        centre, half = np.array([logit[best], log_total[best]]), half * 2.5 / (_POINTS - 1)
    return float(a[best]), float(b[best])


def _total_likelihood(sums: Values, counts: Values, a: Values, b: Values) -> Values:
    """Sum over groups, for each (a, b); equal groups are computed once."""
    groups, times = np.unique(np.column_stack([sums, counts]), axis=0, return_counts=True)
    table = log_likelihood(groups[:, :1], groups[:, 1:], a[None, :], b[None, :])
    total: Values = times @ table
    return total
