"""The published protocol (Chen et al., arXiv 2605.29782) with its leak, so that the leak's size can be measured.

Of every test problem the first context rollout is cut once, at a uniformly random space of its text, and the prefix is
tokenised again as text. Each continuation has a whole response's token budget. The cut rollout, with its return, stays
among those that estimators see. What the authors left unseeded is seeded here, and what could not be graded is missing,
never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.seeds import rng
from sveb.generate.plan import Counts, Protocol, counts_for
from sveb.generate.state_cuts import RolloutRecord, StateRecord
from sveb.policies.codec import TextCodec
from sveb.tasks.task import Task

PAPER: Protocol = "paper"
LEAKS = (
    "each state is cut from a context rollout, which estimators see with its return: scores on this suite flatter "
    "whatever finds a state's own outcome"
)

_FIXED = {"probes": 0, "path_states": 1, "sibling_parents": 0, "siblings": 0}
_PUBLISHED = {"group": 32, "continuations": 20, "draws": 0}
# Prose has hundreds. Solutions that are lines of arithmetic have one, before the answer: there any whitespace counts.
_FEW_SPACES = 8


def counts_of(protocol: Protocol, size: str, overrides: Mapping[str, int | None]) -> Counts:
    """A preset's counts under a protocol, single ones replaced; `None` keeps the preset's."""
    if protocol == PAPER:
        return paper_counts(size, overrides)
    counts = counts_for(size, dict(overrides))
    if counts.probes < 1:
        raise SvebError(f"probes is {counts.probes}: expected at least 1, states are cut from probe rollouts")
    return counts


def paper_counts(size: str, overrides: Mapping[str, int | None]) -> Counts:
    """The published counts with a preset's problems: 32 context rollouts, one state, 20 continuations, no draws.

    Raises SvebError where `overrides` asks for states that the protocol does not have.
    """
    asked = {name: value for name, value in overrides.items() if value is not None}
    for name, value in _FIXED.items():
        if asked.get(name, value) != value:
            raise SvebError(
                f"--{name.replace('_', '-')} {asked[name]}: protocol paper has one state a problem, cut from a context "
                "rollout, and no siblings; leave it out, or use --protocol standard"
            )
    return replace(counts_for(size, {}), **(_FIXED | _PUBLISHED | asked))


def paper_states(rollouts: Iterable[RolloutRecord], task: Task, codec: TextCodec, seed: int) -> list[StateRecord]:
    """One state a problem, from the first of its rollouts."""
    first: dict[str, RolloutRecord] = {}
    for rollout in rollouts:
        first.setdefault(rollout.problem_id, rollout)
    return [_cut(rollout, task, codec, rng(seed, "paper", rollout.problem_id)) for rollout in first.values()]


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
