"""The probability, given the returns of two states, that one state has a higher value than the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# The order of two values counts as known if its posterior probability is above this, or below its complement.
RESOLVED = 0.95
_PANEL_NODES = 32


def probability_greater_binary(wins: IntArray, draws: IntArray) -> FloatArray:
    """P(V_i > V_j | draws) for all pairs of states; (U, U), in [0, 1], to 1e-10.

    `wins` and `draws` (U,) count successes and trials; the posteriors are independent Beta(wins + 1/2,
    losses + 1/2), Jeffreys' prior. With V = sin^2(t) the density of t is 2 sin^(2 wins) cos^(2 losses) / B. It does not
    have the poles of the prior at 0 and 1, so Gauss-Legendre panels of a few standard deviations converge.
    """
    from scipy.special import betainc, betaln

    a, b = wins + 0.5, draws - wins + 0.5
    panels = 2 + int(np.sqrt(draws.max(initial=1)) / 2)
    nodes, node_weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    width = np.pi / 2 / panels
    t = (width * (np.arange(panels)[:, None] + (nodes + 1) / 2)).ravel()
    weights = np.tile(node_weights * width / 2, panels)
    log_density = 2 * np.outer(wins, np.log(np.sin(t))) + 2 * np.outer(draws - wins, np.log(np.cos(t)))
    density = 2 * np.exp(log_density - betaln(a, b)[:, None])
    below = betainc(a[:, None], b[:, None], np.sin(t) ** 2)
    table = np.clip((density * weights) @ below.T, 0.0, 1.0)
    np.fill_diagonal(table, 0.5)  # exactly 1/2: equal evidence gives no order
    return np.asarray(table, dtype=np.float64)


def pair_probability(
    total: FloatArray, mean: FloatArray, n: IntArray, noise: FloatArray, first: IntArray, second: IntArray, binary: bool
) -> FloatArray:
    """q = P(V_first > V_second | their returns) for pairs of states; (m,), in [0, 1].

    `first` and `second` (m,) index the states' arrays. For 0/1 returns it is exact under Beta posteriors, and each
    distinct (successes, returns) is computed once. For other returns it is a normal approximation. A state whose noise
    is unknown (a single return) gives no order: q = 1/2.
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
