"""Sequences of smoothed hidden states, and how far their prefixes are from each other.

The distance of prefixes A and B is the mean, over the elements of the longer one, of the least L2 distance to an
element of the shorter one (Chen et al., arXiv 2605.29782). It is not a metric; of two equally long ones, A's elements
are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Sizes = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

_BLOCK = 64
_FEW = 8
_MEMORY = 2**26  # bytes of one array of distances: three or four live at a time


def running_means(hidden: Vectors, alpha: float, stride: int, biased: bool = False) -> Vectors:
    """Every `stride`-th exponential running mean along the tokens: (ceil(n_tokens / stride), d).

    e_t = alpha e_(t-1) + (1 - alpha) h_t over 1 - alpha^(t+1): a weighted mean of what came so far. `biased` starts
    with e_0 = h_0 as the published code does, and still divides: its first vectors are up to 1 / (1 - alpha) too long.
    """
    n, width = hidden.shape
    kept = np.empty((-(-n // stride), width))
    mix = _mix(alpha)
    before = hidden[0].astype(np.float64) if biased and n else np.zeros(width)
    for start in range(0, n, _BLOCK):
        block = hidden[start : start + _BLOCK].astype(np.float64)
        rows = np.arange(-start % stride, len(block), stride)
        decay = alpha ** np.arange(1.0, len(block) + 1)
        total = 1 - alpha ** (start + rows + 1.0)
        kept[(start + rows) // stride] = (mix[rows, : len(block)] @ block + np.outer(decay[rows], before)) / total[
            :, None
        ]
        before = mix[len(block) - 1, : len(block)] @ block + decay[-1] * before
    return kept.astype(np.float32)


@cache
def _mix(alpha: float) -> Distances:
    """Weights that turn a block of vectors into its running means but for what came before: (_BLOCK, _BLOCK)."""
    lags = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    weights: Distances = np.where(lags >= 0, (1 - alpha) * alpha ** np.maximum(lags, 0.0), 0.0)
    return weights


def kept_vectors(n_tokens: npt.ArrayLike, stride: int) -> Sizes:
    """How many of every `stride`-th vector the first `n_tokens` tokens hold."""
    found: Sizes = -(-np.asarray(n_tokens, dtype=np.int64) // stride)
    return found


@dataclass(frozen=True, eq=False)
class Others:
    """Some sequences that others are compared with, side by side.

    `flat` (longest * n, d) are their elements, zeros after the end of a shorter one, which no prefix of it reaches;
    `squares` their squared norms. `whose`, `size` (n_nodes,): the prefixes, whose and how many elements; `counts` (n,)
    says how many of them each sequence has.
    """

    flat: Distances
    squares: Distances
    n: int
    whose: Sizes
    size: Sizes
    counts: list[int]


def prepared(others: Sequence[Vectors], nodes: Sequence[Sizes]) -> list[Others]:
    """What `prefix_distances` needs to know of sequences; `nodes` are the prefixes' numbers of vectors, at least 1.

    In several parts if the distances to all of them, from a sequence as long as the longest, would not fit in memory.
    """
    longest = max((len(other) for other in others), default=0)
    at_once = max(1, _MEMORY // (8 * max(1, longest) ** 2))
    return [
        _side_by_side(others[start : start + at_once], nodes[start : start + at_once])
        for start in range(0, len(others), at_once)
    ]


def _side_by_side(others: Sequence[Vectors], nodes: Sequence[Sizes]) -> Others:
    padded = np.zeros((max(len(other) for other in others), len(others), others[0].shape[1]))
    for row, other in enumerate(others):
        padded[: len(other), row] = other
    flat, counts = padded.reshape(-1, padded.shape[2]), [len(one) for one in nodes]
    whose = np.repeat(np.arange(len(nodes)), counts)
    return Others(flat, np.einsum("ij,ij->i", flat, flat), len(others), whose, np.concatenate(nodes), counts)


@dataclass(frozen=True, eq=False)
class Reached:
    """What the first elements `begin` (m, d) of a sequence leave for a longer one, which need not begin anew.

    For each part of the others: `sums` (n_nodes,), the distances of these elements to the nearest one of each node,
    added up; `nearest` (longest, n), the distance of each of the others' elements to the nearest of these. m is even:
    OpenBLAS rounds the last one of an odd number of rows in its own way, which a longer sequence does not share.
    """

    begin: Vectors
    sums: list[Distances]
    nearest: list[Distances]

    def begins(self, sequence: Vectors, size: int) -> bool:
        """Whether the first `size` elements of `sequence` begin with these, to the last bit."""
        m = len(self.begin)
        return m <= size and np.array_equal(self.begin, sequence[:m])


def prefix_distances(sequence: Vectors, sizes: Sizes, others: Sequence[Others]) -> list[Distances]:
    """For each sequence of `others` the distances (n_sizes, n_nodes) of `sequence`'s prefixes to that one's prefixes.

    `sizes` are the prefixes' numbers of vectors, at least 1. The distances of all prefixes come from one table of
    distances between elements, by running minima and running sums.
    """
    return np.split(distances_after(None, sequence, sizes, others)[0], first_nodes(others)[1:], axis=1)


def first_nodes(others: Sequence[Others]) -> Sizes:
    """Where the prefixes of each sequence begin among all of them: (n_sequences,)."""
    found: Sizes = np.cumsum([0, *(count for part in others for count in part.counts)])[:-1]
    return found


def distances_after(
    before: Reached | None, sequence: Vectors, sizes: Sizes, others: Sequence[Others]
) -> tuple[Distances, Reached | None]:
    """`prefix_distances` side by side, from a table of the elements after `before` alone, and what `sequence` reached.

    `before` begins each of the prefixes.
    """
    done = len(before.begin) if before else 0
    reach = max(done, len(sequence) // 2 * 2)
    found, reached = [], Reached(sequence[:reach], [], [])
    for place, part in enumerate(others):
        start = (before.sums[place], before.nearest[place]) if before else None
        distances, sums, nearest = _to(part, sequence, sizes, reach, done, start)
        found.append(distances)
        reached.sums.append(sums)
        reached.nearest.append(nearest)
    return np.concatenate(found, axis=1), reached if reach else None


def _to(
    others: Others, sequence: Vectors, sizes: Sizes, reach: int, done: int, known: tuple[Distances, Distances] | None
) -> tuple[Distances, Distances, Distances]:
    # Two elements that are known already: the product of a single row would be rounded in yet another way.
    own, whose, size = sequence[max(done - 2, 0) :].astype(np.float64), others.whose, others.size
    table = (-2 * own) @ others.flat.T
    table += np.einsum("ij,ij->i", own, own)[:, None]
    table += others.squares
    # Our elements, theirs, whose: what is accumulated below runs over whole rows of the last axis.
    table = np.sqrt(np.maximum(table, 0.0, out=table), out=table).reshape(len(own), -1, others.n)
    if known:  # the first row of what is left stands for all elements that are known
        table = table[1:]
    # Where ours is the longer: each of our elements to the nearest of the first n of theirs, averaged over ours.
    sums = _running(np.minimum, table.copy())[:, size - 1, whose]
    if known:
        sums[0], table[0] = known
    sums.cumsum(axis=0, out=sums)
    first = done if known else 1  # the size of the prefix that the first row is about
    ours = sums[sizes - first] / sizes[:, None]
    # Where theirs is the longer: each of their first n to the nearest of our first m, averaged over theirs.
    nearest = _running(np.minimum, table.swapaxes(0, 1)).swapaxes(0, 1)
    theirs = _running(np.add, nearest[sizes - first])[:, size - 1, whose] / size
    return np.where(size <= sizes[:, None], ours, theirs), sums[reach - first].copy(), nearest[reach - first].copy()


def _running(combine: np.ufunc, array: Distances) -> Distances:
    """`combine.accumulate` along the second axis, in place.

    Row by row it uses the processor's vectors, which numpy's does not; but that is slower for few rows.
    """
    if len(array) < _FEW:
        return combine.accumulate(array, axis=1, out=array)
    for i in range(1, array.shape[1]):
        combine(array[:, i - 1], array[:, i], out=array[:, i])
    return array
