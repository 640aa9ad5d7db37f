"""Which token sequences a causal model must read, where some are prefixes of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Cover:
    """`longest` are the sequences that are no other's prefix; `index` gives for every sequence the one it begins."""

    longest: list[list[int]]
    index: list[int]


def cover(sequences: Sequence[npt.NDArray[np.int32]]) -> Cover:
    """The sequences to read so that all are read: in a causal model a prefix has the states of its extension."""
    listed = [sequence.tolist() for sequence in sequences]
    # In lexicographic order a prefix stands right before its extensions.
    order = sorted(range(len(listed)), key=listed.__getitem__, reverse=True)
    longest: list[list[int]] = []
    index = [0] * len(listed)
    for place in order:
        sequence = listed[place]
        if not longest or longest[-1][: len(sequence)] != sequence:
            longest.append(sequence)
        index[place] = len(longest) - 1
    return Cover(longest, index)
