"""What an estimator that knows every true value would score on a suite, in metrics that compare with noisy draws.

The truth's draws are noisy, so that even V ranks some states differently from the draws' means g. The true values are
unknown, therefore plausible ones are made: g, drawn towards the mean of its neighbours in the rollout (path states) or
of its siblings. The same share is used for all states of a kind. g varies more than V, and this takes the surplus away:
the share is the one with which new draws resolve as many pairs as the suite's own draws do. V and new draws are then
scored like any estimator and its truth. On the synthetic policy this is within .01 of what V itself scores in
`order_steps`, and within .05 in the other metrics at K = 64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from sveb.common.seeds import rng as seeded
from sveb.score.arrays import FloatArray, IntArray, sum_by
from sveb.score.bootstrap import Resamples
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.ordering import Pairs, by_rollout, sibling_pairs, step_pairs
from sveb.score.problem_sums import metric_sums
from sveb.score.returns import binomial_returns
from sveb.score.truth import Truth

LIMITED = tuple(
    name
    for name, metric in CATALOGUE.items()
    if metric.direction != "none" and name.startswith(("spearman", "order_", "top1", "regret", "ece"))
)
_REPEATS, _STATES = 5, 20_000  # fewer repeats for a large suite: its scores vary less
_HALVINGS = 7


# All predictions are scored on the same truth object (compared by identity), and its scores do not change.
@lru_cache(maxsize=1)
def perfect_scores(truth: Truth) -> dict[str, float]:
    """By metric of LIMITED, the mean score of V over a few simulations; without the metrics that do not exist.

    Seeded. Empty if returns other than 0 and 1 occur, or if a state has a single return.
    """
    if not truth.binary or (truth.n == 1).any() or not len(truth.rows("path")):
        return {}
    rng = seeded(0, "perfect")
    size = len(truth.problem_ids)
    once = Resamples(np.ones((1, size), dtype=np.uint8), 0)
    values = np.nan_to_num(truth.mean)
    for kind, pairs_of, middle in (
        ("path", step_pairs, _between_neighbours(truth)),
        ("sibling", sibling_pairs, _among_siblings(truth)),
    ):
        rows = truth.rows(kind)
        values[rows] = _plausible(truth, middle, pairs_of, rng)[rows]
    found: dict[str, list[float]] = {name: [] for name in LIMITED}
    for _ in range(max(1, min(_REPEATS, _STATES // len(values)))):
        drawn = replace(truth, returns=binomial_returns(values, truth.n, rng))
        sums = metric_sums(drawn, values, np.ones(len(values), dtype=bool), once)
        for name in LIMITED:
            found[name].append(float(CATALOGUE[name].formula(sums)[0]))
    means = {name: round(float(np.mean(scores)), 4) for name, scores in found.items()}
    return {name: mean for name, mean in means.items() if np.isfinite(mean)}


def _plausible(
    truth: Truth, middle: FloatArray, pairs_of: Callable[[Truth], Pairs], rng: np.random.Generator
) -> FloatArray:
    """g, drawn towards `middle` until new draws resolve as many pairs as the suite's do; (n,)."""
    aim = int(pairs_of(truth).resolved.sum())
    g, low, high = np.nan_to_num(truth.mean), 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        values = g + share * (middle - g)
        resolved = pairs_of(replace(truth, returns=binomial_returns(values, truth.n, rng))).resolved.sum()
        low, high = (share, high) if resolved > aim else (low, share)
    return np.clip(g + (low + high) / 2 * (middle - g), 0, 1)


def _between_neighbours(truth: Truth) -> FloatArray:
    """The mean of g over each path state and the scored states next to it in its rollout; (n,), g for other states."""
    rows, out = by_rollout(truth), np.nan_to_num(truth.mean)
    same = np.flatnonzero(np.diff(truth.rollout[rows]) == 0)
    g, total, count = truth.mean[rows], truth.mean[rows].copy(), np.ones(len(rows))
    for here, there in ((same, same + 1), (same + 1, same)):
        total[here] += g[there]
        count[here] += 1
    out[rows] = total / count
    return out


def _among_siblings(truth: Truth) -> FloatArray:
    """The mean of g over the siblings of each sibling state, itself included; (n,), g for other states."""
    rows, out = truth.rows("sibling"), np.nan_to_num(truth.mean)
    family: IntArray = truth.parent[rows]
    size = len(out)
    sums, counts = sum_by(family, size, truth.mean[rows]), sum_by(family, size, np.ones(len(rows)))
    out[rows] = (sums / np.maximum(counts, 1))[family]
    return out
