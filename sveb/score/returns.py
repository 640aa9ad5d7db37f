"""Returns of the truth's continuations for each state: means, their sampling noise, and two independent halves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sveb.score.arrays import FloatArray, IntArray, count_by, sum_by

_CHUNK_RETURNS = 2_000_000  # limits the memory for temporary arrays, for a suite of any size


@dataclass(frozen=True, eq=False)
class Returns:
    """Per state (n,): `total`, `mean`, `n` and `noise` of the graded returns.

    `noise` is the sampling variance of `mean`: the unbiased sample variance / n, NaN where n < 2. `first` is the mean
    of the first n // 2 graded returns, `second` that of the others and `second_noise` its sampling variance: two
    measurements with independent errors; NaN where a half has too few returns.
    """

    total: FloatArray
    mean: FloatArray
    n: IntArray
    noise: FloatArray
    first: FloatArray
    second: FloatArray
    second_noise: FloatArray


def return_statistics(returns: npt.NDArray[np.floating], offsets: IntArray) -> Returns:
    """Statistics of ragged returns: flat, NaN = missing; row i is returns[offsets[i]:offsets[i + 1]]."""
    parts = [_chunk(returns, offsets, lo, hi) for lo, hi in _chunks(offsets)]
    return Returns(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Returns)})


def _chunks(offsets: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of rows that hold about _CHUNK_RETURNS returns each; at least one range, also for no rows."""
    lo, rows = 0, len(offsets) - 1
    while True:
        hi = int(np.searchsorted(offsets, offsets[lo] + _CHUNK_RETURNS, side="right")) - 1
        hi = min(rows, max(hi, lo + 1))
        yield lo, hi
        if hi >= rows:
            return
        lo = hi


def _chunk(returns: npt.NDArray[np.floating], offsets: IntArray, lo: int, hi: int) -> Returns:
    flat = np.asarray(returns[offsets[lo] : offsets[hi]], dtype=np.float64)
    own = offsets[lo : hi + 1] - offsets[lo]
    total, mean, n, noise = moments(flat, own)
    graded = ~np.isnan(flat)
    before = np.concatenate([[0], np.cumsum(graded)])
    row = np.repeat(np.arange(hi - lo), np.diff(own))
    in_first = before[:-1] - before[own[row]] < (n // 2)[row]
    _, first, _, _ = moments(np.where(in_first, flat, np.nan), own)
    _, second, _, second_noise = moments(np.where(in_first, np.nan, flat), own)
    halved = n >= 2
    return Returns(
        total, mean, n, noise, np.where(halved, first, np.nan), np.where(halved, second, np.nan), second_noise
    )


def moments(returns: FloatArray, offsets: IntArray) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Total, mean, number and noise of ragged returns; each (n,).

    `returns` is flat with NaN = missing, row i is returns[offsets[i]:offsets[i + 1]]. The noise of a mean is the
    unbiased sample variance of its n returns divided by n; NaN below two returns.
    """
    rows = len(offsets) - 1
    row = np.repeat(np.arange(rows), np.diff(offsets))
    graded = ~np.isnan(returns)
    row, values = row[graded], returns[graded]
    n, total = count_by(row, rows), sum_by(row, rows, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        squares = sum_by(row, rows, (values - mean[row]) ** 2)
        noise = np.where(n > 1, squares / np.maximum(n - 1, 1) / np.maximum(n, 1), np.nan)
    return total, mean, n, noise


def of_means(mean: FloatArray, n: IntArray) -> Returns:
    """The same if only the mean of n returns of 0 or 1 is known: noise g (1 - g) / (n - 1), and no halves."""
    unknown = np.full(len(mean), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.where(n > 1, mean * (1 - mean) / np.maximum(n - 1, 1), np.nan)
    return Returns(np.where(n > 0, mean * n, 0.0), mean, n, noise, unknown, unknown, unknown)


def binomial_returns(value: FloatArray, n: int | IntArray, rng: np.random.Generator) -> Returns:
    """Statistics of `n` (one number, or (n_states,)) simulated returns of 0 or 1 at each value (n_states,)."""
    n = np.broadcast_to(np.asarray(n, dtype=np.int64), value.shape)
    sizes = (n // 2, n - n // 2)
    first, second = (rng.binomial(size, value).astype(np.float64) for size in sizes)

    def noise(wins: FloatArray, size: IntArray) -> FloatArray:
        mean = wins / size
        return np.where(size > 1, mean * (1 - mean) / (size - 1), np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        return Returns(
            total=first + second,
            mean=(first + second) / n,
            n=n,
            noise=noise(first + second, n),
            first=np.where(n > 1, first / sizes[0], np.nan),
            second=np.where(n > 1, second / sizes[1], np.nan),
            second_noise=noise(second, sizes[1]),
        )
