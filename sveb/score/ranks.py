"""Spearman's rank correlation, exactly: with ties, within groups and on resampled problems."""

from __future__ import annotations

import numpy as np

from sveb.score.arrays import FloatArray, IntArray, count_by, starts_of_runs, sum_by

_CHUNK_CELLS = 500_000  # states x replicates held at once: small enough for the cache


def average_ranks(values: FloatArray, group: IntArray) -> FloatArray:
    """Rank (from 1) of each value among those of its group, ties sharing their average; (n,)."""
    order = np.lexsort((values, group))
    sorted_values, sorted_group = values[order], group[order]
    new_group = np.ones(len(order), dtype=bool)
    new_group[1:] = sorted_group[1:] != sorted_group[:-1]
    new_level = new_group.copy()
    new_level[1:] |= sorted_values[1:] != sorted_values[:-1]
    level_starts = np.flatnonzero(new_level)
    sizes = np.diff(np.append(level_starts, len(order)))
    group_starts = np.flatnonzero(new_group)[np.cumsum(new_group) - 1]
    levels = level_starts - group_starts[level_starts] + (sizes + 1) / 2
    ranks = np.empty(len(order))
    ranks[order] = np.repeat(levels, sizes)
    return ranks


def spearman_by_problem(values: FloatArray, truth: FloatArray, problem: IntArray, n_problems: int) -> FloatArray:
    """Spearman's rho inside each problem; (P,), each in [-1, 1].

    NaN for a problem with fewer than three states or a constant truth, where no rho exists; 0 where only the
    values are constant: they order nothing.
    """
    size = count_by(problem, n_problems)
    centre = (size[problem] + 1) / 2
    a, b = average_ranks(values, problem) - centre, average_ranks(truth, problem) - centre
    ab, aa, bb = (sum_by(problem, n_problems, w) for w in (a * b, a * a, b * b))
    rho = np.divide(ab, np.sqrt(aa * bb), out=np.zeros(n_problems), where=(aa > 0) & (bb > 0))
    return np.where((size >= 3) & (bb > 0), rho, np.nan)


def spearman_resampled(values: FloatArray, truth: FloatArray, problem: IntArray, counts: IntArray) -> FloatArray:
    """Spearman's rho over all states for each row of `counts` (R, P): how often each problem was drawn; (R,).

    Equal to ranking the resampled states anew: a state drawn w times is w tied states. Doubled, centred ranks are
    whole numbers, so that the sums are exact. Constant values give 0 by definition; a constant truth (with values
    that vary) or no states at all give NaN.
    """
    _, value_level = np.unique(values, return_inverse=True)
    _, truth_level = np.unique(truth, return_inverse=True)
    rho = np.full(len(counts), np.nan)
    if not len(values):
        return rho
    step = max(1, _CHUNK_CELLS // len(values))
    for start in range(0, len(counts), step):
        weights = np.ascontiguousarray(counts[start : start + step].T, dtype=np.float64)[problem]
        x, xx = _weighted_ranks(weights, value_level)
        y, yy = _weighted_ranks(weights, truth_level)
        xy = np.einsum("ir,ir,ir->r", weights, x[value_level], y[truth_level])
        chunk = np.full(weights.shape[1], np.nan)
        np.divide(xy, np.sqrt(xx * yy), out=chunk, where=(xx > 0) & (yy > 0))
        chunk[(xx == 0) & (weights.sum(axis=0) > 0)] = 0.0
        rho[start : start + step] = chunk
    return rho


def _weighted_ranks(weights: FloatArray, level: IntArray) -> tuple[FloatArray, FloatArray]:
    """Doubled, centred ranks of each level (L, R) under the weights (n, R), and their weighted squares' sum (R,)."""
    order = np.argsort(level, kind="stable")
    starts = starts_of_runs(level[order])
    mass = np.add.reduceat(weights[order], starts, axis=0)
    upto = np.cumsum(mass, axis=0)
    ranks = 2 * upto - mass - upto[-1]
    return ranks, np.einsum("lr,lr,lr->r", mass, ranks, ranks)
