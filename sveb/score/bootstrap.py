"""Problem-clustered bootstrap: every metric's point and all its replicates run through one formula.

Problems are drawn with replacement, never states: states of one problem share its difficulty. A resample is a row
of counts, how often each problem was drawn; row 0 draws each problem once, so that it *is* the point estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sveb.core.results import Estimate
from sveb.core.seeds import rng
from sveb.score.arrays import FloatArray, IntArray

REPLICATES = 2000
SEED = 0
LEVEL = 0.95
_CHUNK_ROWS = 256


def resample_counts(n_problems: int, replicates: int = REPLICATES, seed: int = SEED) -> IntArray:
    """(1 + replicates, P): row 0 all ones, then draws of P problems with replacement; the same for each call."""
    draws = rng(seed, "bootstrap").multinomial(n_problems, np.full(n_problems, 1 / n_problems), size=replicates)
    return np.concatenate([np.ones((1, n_problems), dtype=np.int64), draws])


def resampled_sums(statistics: Mapping[str, FloatArray], counts: IntArray) -> dict[str, FloatArray]:
    """Sums over the drawn problems of per-problem statistics, each (P,), for each row of `counts` (R, P); each (R,)."""
    matrix = np.stack(list(statistics.values()), axis=1)
    sums = np.empty((len(counts), matrix.shape[1]))
    # an overflown statistic times a count of zero is NaN: the metric then says that it overflows
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(counts), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            np.matmul(counts[rows].astype(np.float64), matrix, out=sums[rows])
    return {name: np.ascontiguousarray(sums[:, j]) for j, name in enumerate(statistics)}


def undefined(reason: str) -> Estimate:
    """A figure that does not exist, with the reason."""
    return Estimate(math.nan, math.nan, math.nan, reason)


def estimate(values: FloatArray, n_problems: int, reason: str) -> Estimate:
    """Point and percentile interval from `values` (1 + B,), of which the first is the point.

    An undefined replicate (NaN) might lie anywhere: it counts as below the lower end and above the upper end, so
    that it can only widen the interval, up to an end that is undefined too. `reason` tells what makes a value
    undefined; it goes to the note, with the number of replicates. Infinite values order as they are and are
    undefined as an end.
    """
    value, replicates = float(values[0]), values[1:]
    if not math.isfinite(value):
        return undefined(reason)
    if n_problems < 2:
        return Estimate(_rounded(value), math.nan, math.nan, "one problem: an interval needs at least two")
    missing = np.isnan(replicates)
    tail = (1 - LEVEL) / 2
    low = float(np.quantile(np.where(missing, -np.inf, replicates), tail, method="lower"))
    high = float(np.quantile(np.where(missing, np.inf, replicates), 1 - tail, method="higher"))
    lost = int((~np.isfinite(replicates)).sum())
    note = f"{lost} of {len(replicates)} replicates undefined: {reason}" if lost else None
    return Estimate(_rounded(value), _rounded(low), _rounded(high), note)


def _rounded(x: float) -> float:
    """To 12 decimals: below that, bits depend on the processor, and results.json should not. Infinite becomes NaN."""
    return round(x, 12) + 0.0 if math.isfinite(x) else math.nan  # + 0.0: no negative zero
