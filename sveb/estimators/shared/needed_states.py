"""The states of training rollouts, and which of a problem's states the policy has to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sveb.common.prefix_cover import cover
from sveb.contract.problem import Floats, Group, Ints, Problem, State, Values

Rows = TypeVar("Rows", Values, npt.NDArray[np.floating], list[Floats])

MOST_PROBLEMS = 200  # training problems used to choose a parameter: more do not change the choice


def unfinished_ends(group: Group, rollout: int) -> Ints:
    """Token offsets of a rollout's states: 0 and the end of every step but the last.

    A finished response is not a state: its value is known.
    """
    ends = group.step_ends[rollout]
    return np.concatenate([[0], ends[ends < len(group.token_ids[rollout])]]).astype(np.int64)


def by_problem(rows: Rows, problems: Sequence[Problem]) -> list[Rows]:
    """Rows that are about the states of these problems, one after the other, as those of each problem."""
    ends = np.cumsum([len(problem.states) for problem in problems]).tolist()
    return [rows[end - len(problem.states) : end] for problem, end in zip(problems, ends, strict=True)]


def longest_states(states: Sequence[State]) -> tuple[list[State], list[Ints]]:
    """The states that no other state extends, and for each the indices of those that it extends, itself included.

    In a causal model its hidden states include theirs, so reading it reads them all.
    """
    read = cover([state.token_ids for state in states])
    by_tokens = {tuple(state.token_ids.tolist()): state for state in states}
    index = np.array(read.index)
    return [by_tokens[tuple(tokens)] for tokens in read.longest], [
        np.flatnonzero(index == place) for place in range(len(read.longest))
    ]
