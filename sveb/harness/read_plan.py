"""What the policy reads to answer a question about states, and how arrays are put into a reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sveb.contract.problem import Floats
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import Array

Reply = tuple[dict[str, Any], list[Array]]
Prompted = tuple[int, Array]  # a state: the index of its problem, and its response tokens


def join(arrays: Sequence[Array], dtype: type[np.generic]) -> tuple[Array, Array]:
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    return (np.concatenate(arrays) if arrays else np.empty(0)).astype(dtype, copy=False), lengths


def rows_reply(found: Sequence[Floats], width: int = 0) -> Reply:
    """Arrays of rows as one, with the number of rows of each."""
    flat = np.concatenate(found) if found else np.empty((0, width), np.float32)
    return {}, [flat, np.array([len(rows) for rows in found], dtype=np.int64)]


@dataclass(frozen=True)
class Reading:
    """What the policy reads for some states: prompt + prefix of each, `sequences`, and the prompts' lengths, `starts`.

    `problems` are the indices of their problems, `places` those of the states that were asked for.
    """

    sequences: list[Array]
    starts: list[int]
    problems: list[int]
    places: list[int]

    @classmethod
    def of(cls, inputs: Inputs, read: Sequence[Prompted], asked: Sequence[Prompted]) -> Reading:
        prompts = [inputs.prompt("test", index) for index, _ in read]
        place = {(index, tokens.tobytes()): number for number, (index, tokens) in enumerate(read)}
        return cls(
            [np.concatenate([prompt, tokens]) for prompt, (_, tokens) in zip(prompts, read, strict=True)],
            [len(prompt) for prompt in prompts],
            [index for index, _ in read],
            [place[index, tokens.tobytes()] for index, tokens in asked],
        )

    def asked(self, found: Sequence[Floats]) -> list[Floats]:
        """Of one array for each sequence, those that were asked for."""
        return [found[place] for place in self.places]
