"""Isotonic regression: the best non-decreasing map from a score to returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sveb.contract.problem import Values


@dataclass(frozen=True)
class Isotonic:
    """Linear between the knots `x` (n,) with values `y` (n,), constant outside."""

    x: Values
    y: Values

    def __call__(self, scores: Values) -> Values:
        """Values of scores (n,)."""
        return np.interp(scores, self.x, self.y)


def fit_isotonic(scores: Values, returns: Values) -> Isotonic:
    """Pool adjacent violators (Barlow et al., 1972): least squares among non-decreasing maps; scores (n,), n >= 1.

    scipy.optimize.isotonic_regression gives the same map up to rounding. Published predictions rest on this rounding.
    """
    x, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=returns) / counts
    blocks: list[tuple[float, int, int]] = []  # mean, rows, distinct scores
    for mean, rows in zip(means.tolist(), counts.tolist(), strict=True):
        distinct = 1
        while blocks and blocks[-1][0] >= mean:
            before, others, more = blocks.pop()
            mean = (mean * rows + before * others) / (rows + others)
            rows, distinct = rows + others, distinct + more
        blocks.append((mean, rows, distinct))
    last = np.cumsum([distinct for _, _, distinct in blocks]) - 1
    first = np.concatenate([[0], last[:-1] + 1])
    knots = np.ravel(np.column_stack([x[first], x[last]]))
    return Isotonic(knots, np.repeat([mean for mean, _, _ in blocks], 2))
