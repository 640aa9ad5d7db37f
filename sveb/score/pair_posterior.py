"""How sure the truth's draws are that one state is worth more than another."""

from __future__ import annotations

import numpy as np

from sveb.common.posterior import probability_greater_binary
from sveb.score.arrays import FloatArray, IntArray


def pair_probability(
    total: FloatArray, mean: FloatArray, n: IntArray, noise: FloatArray, first: IntArray, second: IntArray, binary: bool
) -> FloatArray:
    """q = P(V_first > V_second | the truth's draws) for pairs of states; (m,), in [0, 1].

    `first` and `second` (m,) index the states' arrays. For 0/1 returns exact under Beta posteriors, each distinct
    (successes, draws) computed once. For other returns a normal approximation; a state whose noise is unknown
    (a single draw) decides nothing: q = 1/2.
    """
    if not len(first):
        return np.zeros(0)
    if binary:
        wins = np.rint(total).astype(np.int64)
        used, code = np.unique(wins * (n.max() + 1) + n, return_inverse=True)
        table = probability_greater_binary(used // (n.max() + 1), used % (n.max() + 1))
        return np.asarray(table[code[first], code[second]], dtype=np.float64)
    from scipy.special import ndtr

    gap = mean[first] - mean[second]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = gap / np.sqrt(noise[first] + noise[second])
    return np.asarray(ndtr(np.nan_to_num(z, nan=0.0)), dtype=np.float64)
