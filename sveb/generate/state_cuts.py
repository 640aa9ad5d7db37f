"""Which states are asked for: root, path and sibling prefixes of the probe rollouts."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sveb.common.seeds import rng
from sveb.generate.plan import Counts
from sveb.policies.codec import TextCodec
from sveb.suite.records import StateKind
from sveb.tasks.task import Task


@dataclass(frozen=True)
class Rollout:
    """A sampled response with its return, ready to be cut."""

    rollout_id: str
    problem_id: str
    role: str
    token_ids: list[int]
    text: str
    return_: float | None
    finish_reason: str
    step_ends: list[int]
    seed: int


@dataclass(frozen=True)
class State:
    """A prefix of a response. `step_index` counts the finished steps in it; the root has none."""

    state_id: str
    problem_id: str
    rollout_id: str | None
    kind: StateKind
    step_index: int
    token_ids: Sequence[int]
    text: str
    parent_state_id: str | None = None

    def __post_init__(self) -> None:
        # All states of a suite are held at once: four bytes a token, where a list takes 36.
        object.__setattr__(self, "token_ids", array("i", self.token_ids))


def root_state(problem_id: str) -> State:
    """The bare prompt."""
    return State(f"{problem_id}/root", problem_id, None, "root", 0, [], "")


def path_states(rollout: Rollout, task: Task, codec: TextCodec, limit: int, seed: int) -> list[State]:
    """At most `limit` prefixes of a probe rollout, at ends of steps before its answer begins.

    Where there are more, a seeded choice of them, each step as likely as any other.
    """
    candidates: list[tuple[int, int, str]] = []
    for index, end in enumerate(rollout.step_ends, start=1):
        text = codec.decode(rollout.token_ids[:end])
        if end >= len(rollout.token_ids) or task.answered(text):
            break
        candidates.append((index, end, text))
    if len(candidates) > limit:
        kept = rng(seed, "path", rollout.rollout_id).choice(len(candidates), limit, replace=False)
        candidates = [candidates[i] for i in sorted(kept)]
    return [
        State(
            f"{rollout.rollout_id}/s{index}", rollout.problem_id, rollout.rollout_id, "path", index,
            rollout.token_ids[:end], text,
        )
        for index, end, text in candidates
    ]  # fmt: skip


def sibling_parents(paths: Sequence[State], counts: Counts, seed: int) -> dict[str, list[State]]:
    """The path states, a few a problem, at which alternative next steps are sampled: a seeded choice."""
    by_problem: dict[str, list[State]] = defaultdict(list)
    for state in paths:
        by_problem[state.problem_id].append(state)
    if counts.siblings == 0:
        return {}
    chosen: dict[str, list[State]] = {}
    for problem_id, states in by_problem.items():
        n = min(counts.sibling_parents, len(states))
        kept = rng(seed, "siblings", problem_id).choice(len(states), n, replace=False)
        chosen[problem_id] = [states[i] for i in sorted(kept)]
    return chosen


def sibling_states(parent: State, alternatives: Sequence[Sequence[int]], task: Task, codec: TextCodec) -> list[State]:
    """Distinct alternative next steps from one parent; none if fewer than two remain.

    An alternative that ends the response, begins the answer, or does not end its step within the step budget
    is no state. Identical ones are merged.
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
        State(
            f"{parent.state_id}/a{number}", parent.problem_id, parent.rollout_id, "sibling", parent.step_index + 1,
            [*parent.token_ids, *step], text, parent.state_id,
        )
        for number, (step, text) in enumerate(steps.items())
    ]  # fmt: skip


def ordinals(states: Sequence[State]) -> Mapping[str, int]:
    """Each state's number within its problem, in stored order: what its seeds are derived from."""
    seen: dict[str, int] = defaultdict(int)
    numbers: dict[str, int] = {}
    for state in states:
        numbers[state.state_id] = seen[state.problem_id]
        seen[state.problem_id] += 1
    return numbers
