"""Spearman's rank correlation, exact with ties, within groups and on resampled problems."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sveb.score.arrays import CountArray, FloatArray, IntArray, count_by, starts_of_runs, sum_by

# States and resamples per block: small enough for the cache. Levels x resamples: small enough for memory.
_BLOCK, _COLUMNS, _LEVEL_CELLS = 256, 128, 8_000_000


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

    NaN for a problem with fewer than three states or a constant truth, because rho does not exist there. 0 if only
    the values are constant, because they give no order.
    """
    size = count_by(problem, n_problems)
    centre = (size[problem] + 1) / 2
    a, b = average_ranks(values, problem) - centre, average_ranks(truth, problem) - centre
    ab, aa, bb = (sum_by(problem, n_problems, w) for w in (a * b, a * a, b * b))
    rho = np.divide(ab, np.sqrt(aa * bb), out=np.zeros(n_problems), where=(aa > 0) & (bb > 0))
    return np.where((size >= 3) & (bb > 0), rho, np.nan)


def spearman_resampled(values: FloatArray, truth: FloatArray, problem: IntArray, counts: CountArray) -> FloatArray:
    """Spearman's rho over all states for each row of `counts` (R, P): how often each problem was drawn; (R,).

    The result equals ranking the resampled states again: a state drawn w times is w tied states. States are sorted
    once. A resample then costs one pass over them; many resamples are computed together, in blocks that fit the cache.
    Constant values give 0 by definition; a constant truth (with values that vary) or no states at all give NaN.
    """
    rho = np.full(len(counts), np.nan)
    if not len(values):
        return rho
    x, y = _Levels.of(values), _Levels.of(truth)
    step = max(1, min(_COLUMNS, _LEVEL_CELLS // y.count))
    chunks = [slice(start, start + step) for start in range(0, len(counts), step)]
    cells = _Levels.of(x.of_state * y.count + y.of_state)
    few = cells.count < len(values) / 2 and cells.count * step <= _LEVEL_CELLS
    if few:  # states that are tied in both become one state with their total weight
        one_each = cells.order[cells.starts[:-1]]
        x, y = _Levels.of(values[one_each]), _Levels.of(truth[one_each])

    def fill(rows: slice) -> None:
        drawn = np.ascontiguousarray(counts[rows].T)
        if few:
            joint = [mass for _, mass in cells.sums(lambda states: drawn[problem[states]].astype(np.float64))]
            rho[rows] = _rho(x, y, np.arange(cells.count), np.concatenate(joint))
        else:
            rho[rows] = _rho(x, y, problem, drawn)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy releases the interpreter lock inside each block
        list(pool.map(fill, chunks))
    return rho


@dataclass(frozen=True, eq=False)
class _Levels:
    """Levels 0 .. count - 1, one per distinct value.

    `of_state` (n,): the level of each state. `order` (n,): the states sorted by level. `starts` (count + 1,): where
    each level begins in that order.
    """

    of_state: IntArray
    order: IntArray
    starts: IntArray

    @classmethod
    def of(cls, values: FloatArray | IntArray) -> _Levels:
        _, level = np.unique(values, return_inverse=True)
        order = np.argsort(level, kind="stable")
        return cls(level, order, np.append(starts_of_runs(level[order]), len(level)))

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    def sums(self, term: Callable[[IntArray], FloatArray]) -> Iterator[tuple[slice, FloatArray]]:
        """Blocks of levels in order, and `term(states)` (b, C) summed over the states of each level (levels, C)."""
        level = 0
        while level < self.count:
            lo = int(self.starts[level])
            upto = max(int(np.searchsorted(self.starts, lo + _BLOCK, side="right")) - 1, level + 1)
            hi = int(self.starts[upto])
            if upto == level + 1:  # one level, perhaps of more states than fit the cache
                pieces = [self.order[i : min(i + _BLOCK, hi)] for i in range(lo, hi, _BLOCK)]
                summed = np.add.reduce([term(piece).sum(axis=0, keepdims=True) for piece in pieces])
            else:
                summed = term(self.order[lo:hi])
                if upto - level < hi - lo:
                    summed = np.add.reduceat(summed, self.starts[level:upto] - lo, axis=0)
            yield slice(level, upto), summed
            level = upto


def _running_sum(x: FloatArray) -> FloatArray:
    """np.cumsum(x, axis=0) of x (b, r), by rows of rows: numpy's own does not use the processor's vector units here."""
    rows, columns = x.shape
    side = math.isqrt(max(rows - 1, 0)) + 1
    squared = np.zeros((side, side, columns))
    flat = squared.reshape(side * side, columns)
    flat[:rows] = x
    for i in range(1, side):
        squared[:, i] += squared[:, i - 1]
    for i in range(1, side):
        squared[i] += squared[i - 1, -1]
    return flat[:rows]


def _rho(x: _Levels, y: _Levels, problem: IntArray, drawn: CountArray | FloatArray) -> FloatArray:
    """Rho for each column of weights `drawn` (P, r), from doubled, centred ranks: whole numbers."""
    columns = drawn.shape[1]
    y_mass, y_rank = np.empty((y.count, columns)), np.empty((y.count, columns))
    total = np.zeros(columns)
    for block, mass in y.sums(lambda states: drawn[problem[states]].astype(np.float64)):
        upto = total + _running_sum(mass)
        y_mass[block], y_rank[block], total = mass, 2 * upto - mass, upto[-1]
    y_rank -= total

    def weight_and_moment(states: IntArray) -> FloatArray:
        both = np.empty((len(states), 2 * columns))
        both[:, :columns] = drawn[problem[states]]
        np.multiply(both[:, :columns], y_rank[y.of_state[states]], out=both[:, columns:])
        return both

    xy, xx, below = np.zeros(columns), np.zeros(columns), -total
    for _, both in x.sums(weight_and_moment):
        mass, moment = both[:, :columns], both[:, columns:]
        rank = _running_sum(mass)
        rank *= 2
        rank += below
        below = rank[-1].copy()
        rank -= mass
        xy += np.einsum("lr,lr->r", moment, rank)
        xx += np.einsum("lr,lr,lr->r", mass, rank, rank)
    yy = np.einsum("lr,lr,lr->r", y_mass, y_rank, y_rank)
    rho = np.full(columns, np.nan)
    np.divide(xy, np.sqrt(xx * yy), out=rho, where=(xx > 0) & (yy > 0))
    rho[(xx == 0) & (total > 0)] = 0.0
    return rho
