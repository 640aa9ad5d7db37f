"""Calibration: equal-mass bins of the predicted values, compared with the mean returns in each bin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sveb.score.arrays import FloatArray, IntArray, sum_by
from sveb.score.rank_correlation import average_ranks

BINS = 10


def equal_mass_bins(values: FloatArray, bins: int = BINS) -> IntArray:
    """Bin (0 .. bins - 1) of each value; (n,). Equal values share a bin, so ties may leave bins larger or empty."""
    ranks = average_ranks(values, np.zeros(len(values), dtype=np.int64))
    return np.floor((ranks - 0.5) / max(len(values), 1) * bins).astype(np.int64)


def bin_statistics(values: FloatArray, truth: FloatArray, problem: IntArray, size: int) -> dict[str, FloatArray]:
    """Per problem (P,), for each bin the sum of v - g. Bins are formed once, on all states, not on each resample."""
    bins = equal_mass_bins(values)
    out = {}
    for k in range(BINS):
        inside = bins == k
        out[f"bin{k}_error"] = sum_by(problem[inside], size, (values - truth)[inside])
    return out


def ece_sum(sums: Mapping[str, FloatArray]) -> FloatArray:
    """Sum over bins of size * |mean v - mean g| = |sum of v - g in the bin|; (R,), >= 0."""
    total: FloatArray = np.abs([sums[f"bin{k}_error"] for k in range(BINS)]).sum(axis=0)
    return total
