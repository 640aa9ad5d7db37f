"""What token sequences have in common at their beginning, and which a causal model must read to cover all."""

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


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all of them begin with."""
    # In lexicographic order all others lie between these two.
    first, last = min(map(list, sequences)), max(map(list, sequences))
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
