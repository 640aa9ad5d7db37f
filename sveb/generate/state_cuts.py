"""Which states a suite has: the root, and path and sibling prefixes cut from the probe rollouts."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sveb.common.seeds import rng
from sveb.generate.plan import Counts
from sveb.policies.codec import TextCodec
from sveb.suite.records import FinishReason, StateKind
from sveb.tasks.task import Task


@dataclass(frozen=True)
class RolloutRecord:
    """A row of rollouts.parquet: a response with its return. An imported one may have no finish reason and no seed."""

    rollout_id: str
    problem_id: str
    role: str
    token_ids: list[int]
    text: str
    return_: float | None
    finish_reason: FinishReason | None
    step_ends: list[int]
    seed: int | None


@dataclass(frozen=True)
class StateRecord:
    """A row of states.parquet: a prefix of a response with `step_index` finished steps; the root has 0.

    `next_tokens`: length of the step that follows a path state in its rollout, up to the next step boundary or the end
    of the response. None where no such step is known: the root, siblings, and prefixes that were tokenised again.
    `next_weight`: the sum of that step's token weights (`Policy.token_weights`); None until next_steps.py computes it.
    """

    state_id: str
    problem_id: str
    rollout_id: str | None
    kind: StateKind
    step_index: int
    token_ids: Sequence[int]
    text: str
    parent_state_id: str | None = None
    next_tokens: int | None = None
    next_weight: float | None = None

    def __post_init__(self) -> None:
        # All states of a suite are in memory together: an array takes 4 bytes per token, a list 36.
        object.__setattr__(self, "token_ids", array("i", self.token_ids))


def root_state(problem_id: str) -> StateRecord:
    """The prompt alone."""
    return StateRecord(f"{problem_id}/root", problem_id, None, "root", 0, [], "")


def path_states(rollout: RolloutRecord, task: Task, codec: TextCodec, limit: int, seed: int) -> list[StateRecord]:
    """At most `limit` prefixes of a probe rollout, at ends of steps before its answer begins.

    If there are more, a seeded choice of pairs of consecutive ones (`choose_pairs`).
    """
    candidates: list[tuple[int, int, str]] = []
    for index, end in enumerate(rollout.step_ends, start=1):
        text = codec.decode(rollout.token_ids[:end])
        if end >= len(rollout.token_ids) or task.answered(text):
            break
        candidates.append((index, end, text))
    if len(candidates) > limit:
        kept = choose_pairs(len(candidates), limit, rng(seed, "path", rollout.rollout_id))
        candidates = [candidates[i] for i in kept]
    ends = [*rollout.step_ends, len(rollout.token_ids)]
    return [
        StateRecord(
            f"{rollout.rollout_id}/s{index}", rollout.problem_id, rollout.rollout_id, "path", index,
            rollout.token_ids[:end], text, next_tokens=ends[index] - end,
        )
        for index, end, text in candidates
    ]  # fmt: skip


def choose_pairs(n: int, limit: int, choice: np.random.Generator) -> list[int]:
    """`limit` of the places 0..n-1, in order: disjoint pairs of neighbours, and one of three if `limit` is odd.

    The pairs are put on a circle of n places that is turned at random. So each place is equally likely, and each pair
    of neighbours too. The price: a pair may fall on the last and the first place, which are no neighbours.
    """
    sizes = np.full(max(1, limit // 2), 2)
    sizes[0] += limit - sizes.sum()
    sizes = choice.permutation(sizes)
    gaps = np.sort(choice.choice(n - limit + len(sizes), len(sizes), replace=False))
    starts = gaps + np.cumsum(sizes - 1) - (sizes - 1)
    chosen = np.concatenate([start + np.arange(size) for start, size in zip(starts, sizes, strict=True)])
    return sorted(((chosen + choice.integers(n)) % n).tolist())


def sibling_parents(paths: Sequence[StateRecord], counts: Counts, seed: int) -> dict[str, list[StateRecord]]:
    """The path states at which alternative next steps are sampled: by problem_id a seeded choice of a few."""
    by_problem: dict[str, list[StateRecord]] = defaultdict(list)
    for state in paths:
        by_problem[state.problem_id].append(state)
    if counts.siblings == 0:
        return {}
    chosen: dict[str, list[StateRecord]] = {}
    for problem_id, states in by_problem.items():
        n = min(counts.sibling_parents, len(states))
        kept = rng(seed, "siblings", problem_id).choice(len(states), n, replace=False)
        chosen[problem_id] = [states[i] for i in sorted(kept)]
    return chosen


def sibling_states(
    parent: StateRecord, alternatives: Sequence[Sequence[int]], task: Task, codec: TextCodec
) -> list[StateRecord]:
    """The states after distinct alternative next steps of one parent; empty if fewer than two remain.

    An alternative is left out if it ends the response, begins the answer, or does not end its step within the step
    budget. Identical ones are merged.
    """
    steps: dict[tuple[int, ...], str] = {}
    for tokens in alternatives:
        ends = task.step_ends(codec.pieces(tokens))
        if not ends or (ends[0] == len(tokens) and tokens[-1] in codec.stop_token_ids):
            continue
        step = tuple(tokens[: ends[0]])
        text = codec.decode([*parent.token_ids, *step])
        if not task.answered(text):
            steps[step] = text
    if len(steps) < 2:
        return []
    return [
        StateRecord(
            f"{parent.state_id}/a{number}", parent.problem_id, parent.rollout_id, "sibling", parent.step_index + 1,
            [*parent.token_ids, *step], text, parent.state_id,
        )
        for number, (step, text) in enumerate(steps.items())
    ]  # fmt: skip


def ordinals(states: Sequence[StateRecord]) -> Mapping[str, int]:
    """The number of each state within its problem, in stored order, by state_id. It decides the seeds of the state."""
    seen: dict[str, int] = defaultdict(int)
    numbers: dict[str, int] = {}
    for state in states:
        numbers[state.state_id] = seen[state.problem_id]
        seen[state.problem_id] += 1
    return numbers
