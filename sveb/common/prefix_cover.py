"""What token sequences have in common at their beginning, and which a causal model must read to cover all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_LONG = 192  # tokens of a beginning that is worth it: prompts with worked examples are longer, short prompts are not


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


@dataclass(frozen=True)
class Family:
    """The places of sequences that begin with the same `shared` tokens, which are read once. 0: nothing is shared."""

    places: list[int]
    shared: int


def families(sequences: Sequence[Sequence[int]]) -> list[Family]:
    """Those that share a long beginning, family by family, and the others, which share nothing.

    The last token that all members share is not read once but by each: what follows it may differ.
    """
    by_beginning: dict[tuple[int, ...], list[int]] = {}
    alone: list[int] = []
    for place, sequence in enumerate(sequences):
        if len(sequence) > _LONG:
            by_beginning.setdefault(tuple(sequence[:_LONG]), []).append(place)
        else:
            alone.append(place)
    found = []
    for places in by_beginning.values():
        if len(places) > 1:
            found.append(Family(places, common_length([sequences[place] for place in places]) - 1))
        else:
            alone += places
    return [*found, Family(sorted(alone), 0)] if alone else found


def can_share(config: Any) -> bool:
    """Whether keys and values of a beginning can be used again: not with windows, and not in recurrent layers.

    `config` is the model's configuration in `transformers`.
    """
    kinds = getattr(config.get_text_config(), "layer_types", None) or ["full_attention"]
    return set(kinds) == {"full_attention"}
