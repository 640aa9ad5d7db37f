"""Which token sequences a causal model must read if some are prefixes of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Cover:
    """`longest`: sequences that are not a prefix of another. `index`: for each sequence, one that starts with it."""

    longest: list[list[int]]
    index: list[int]


def cover(sequences: Sequence[npt.NDArray[np.int32]]) -> Cover:
    """The sequences to read to cover all: in a causal model a prefix has the same states as the longer sequence."""
    listed = [sequence.tolist() for sequence in sequences]
    # In lexicographic order a prefix comes directly before the sequences that extend it.
    order = sorted(range(len(listed)), key=listed.__getitem__, reverse=True)
    longest: list[list[int]] = []
    index = [0] * len(listed)
    for place in order:
        sequence = listed[place]
        if not longest or longest[-1][: len(sequence)] != sequence:
            longest.append(sequence)
        index[place] = len(longest) - 1
    return Cover(longest, index)
