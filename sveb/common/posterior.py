"""How sure a state's draws are of its value: posteriors of success probabilities, and how they compare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# The order of two values counts as settled where its posterior probability is above this, or below its complement.
RESOLVED = 0.95
_PANEL_NODES = 32


def probability_greater_binary(wins: IntArray, draws: IntArray) -> FloatArray:
    """P(V_i > V_j | draws) for all pairs of states; (U, U), in [0, 1], to 1e-10.

    `wins` and `draws` (U,) count successes and trials; the posteriors are independent Beta(wins + 1/2,
    losses + 1/2), Jeffreys' prior. With V = sin^2(t) the density of t is 2 sin^(2 wins) cos^(2 losses) / B: free of
    the poles that the prior has at 0 and 1, so that Gauss-Legendre panels of a few standard deviations converge.
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
    np.fill_diagonal(table, 0.5)  # to the last bit: the same evidence orders nothing
    return np.asarray(table, dtype=np.float64)
