"""Array types, and the sum by group that all statistics use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
CountArray = npt.NDArray[np.uint8]  # how often each problem was drawn: rows are resamples


def sum_by(group: IntArray, size: int, values: FloatArray) -> FloatArray:
    """Sum of `values` (n,) over each group 0 .. size - 1; (size,), 0 for an empty group."""
    return np.asarray(np.bincount(group, weights=values, minlength=size), dtype=np.float64)


def count_by(group: IntArray, size: int) -> IntArray:
    """Number of members of each group 0 .. size - 1; (size,)."""
    return np.asarray(np.bincount(group, minlength=size), dtype=np.int64)


def starts_of_runs(keys: IntArray) -> IntArray:
    """Where each run of equal keys starts; `keys` (n,) sorted, non-negative."""
    return np.flatnonzero(np.diff(keys, prepend=-1))
