"""The cut "random_space": of every test problem the first rollout, cut once at a uniformly random space of its text.

The prefix is tokenised again as text, as in Chen et al., arXiv 2605.29782.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sveb.common.seeds import rng
from sveb.generate.state_cuts import RolloutRecord, StateRecord
from sveb.policies.codec import TextCodec
from sveb.tasks.task import Task

# Prose has hundreds. Solutions that are lines of arithmetic have one, before the answer: there any whitespace counts.
_FEW_SPACES = 8


def one_state_a_problem(
    rollouts: Iterable[RolloutRecord], task: Task, codec: TextCodec, seed: int, label: str
) -> list[StateRecord]:
    """One state a problem, from the first of its rollouts; `seed` and `label` decide where."""
    first: dict[str, RolloutRecord] = {}
    for rollout in rollouts:
        first.setdefault(rollout.problem_id, rollout)
    return [_cut(rollout, task, codec, rng(seed, label, rollout.problem_id)) for rollout in first.values()]


def cut_position(text: str, choice: np.random.Generator) -> int:
    """Characters before the cut: at a space, each as likely as any other; at the end where there is no whitespace.

    Of a text with fewer than eight spaces at any whitespace character.
    """
    found = [place for place, character in enumerate(text) if character == " "]
    if len(found) < _FEW_SPACES:
        found = [place for place, character in enumerate(text) if character.isspace()]
    return int(choice.choice(found)) if found else len(text)


def _cut(rollout: RolloutRecord, task: Task, codec: TextCodec, choice: np.random.Generator) -> StateRecord:
    position = cut_position(rollout.text, choice)
    text = rollout.text[:position]
    tokens = codec.encode(text)
    return StateRecord(
        f"{rollout.rollout_id}/x{position}", rollout.problem_id, rollout.rollout_id, "path",
        len(task.step_ends(codec.pieces(tokens))), tokens, text,
    )  # fmt: skip
