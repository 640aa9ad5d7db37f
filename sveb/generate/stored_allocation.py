"""Adaptive truth: from the finished draws to each state's number of continuations, kept in the work folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, write_text
from sveb.generate.allocation import Pilot, allocate
from sveb.generate.generation import Job
from sveb.generate.state_cuts import State


def stored_allocation(job: Job, states: Sequence[State]) -> dict[str, int]:
    """Truth continuations of every state, by state_id: decided when the draws are in, then what work/ holds.

    Raises SvebError where that is of other states.
    """
    path = job.store.folder / "allocation.json"
    if not path.exists():
        shares = allocate(_pilot(job, states), job.plan.counts.continuations)
        by_id = {state.state_id: int(share) for state, share in zip(states, shares, strict=True)}
        write_text(path, dump_json(by_id))
    found = read_json(path, "the allocation of the truth's continuations")
    if not isinstance(found, dict) or found.keys() != {state.state_id for state in states}:
        raise SvebError(f"{path} does not name this suite's states: delete it and run the same command again")
    return {str(name): int(share) for name, share in found.items()}


def _pilot(job: Job, states: Sequence[State]) -> Pilot:
    places = {state.state_id: i for i, state in enumerate(states)}
    successes, draws = np.zeros(len(states)), np.zeros(len(states), dtype=np.int64)
    tokens, sampled = np.zeros(len(states)), np.zeros(len(states))
    for row in job.store.read("draws", ["unit_id", "return_", "n_tokens"]):
        place = places[row["unit_id"]]
        graded = [value for value in row["return_"] if value is not None]
        successes[place] += sum(graded)
        draws[place] += len(graded)
        tokens[place] += sum(row["n_tokens"])
        sampled[place] += len(row["n_tokens"])
    # One more continuation of the mean length: a state whose few draws were short must not look free.
    usual = max(tokens.sum() / max(sampled.sum(), 1), 1.0)
    lengths = (tokens + usual) / (sampled + 1)
    return Pilot(np.rint(successes).astype(np.int64), draws, lengths, _steps(states, places), _siblings(states, places))


def _steps(states: Sequence[State], places: dict[str, int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Neighbouring path states of one rollout, in order of step_index."""
    along: dict[str | None, list[State]] = defaultdict(list)
    for state in states:
        if state.kind == "path":
            along[state.rollout_id].append(state)
    found = [
        (places[a.state_id], places[b.state_id])
        for cut in along.values()
        for ordered in [sorted(cut, key=lambda state: state.step_index)]
        for a, b in pairwise(ordered)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _siblings(states: Sequence[State], places: dict[str, int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """All pairs of states that share a parent."""
    families: dict[str, list[int]] = defaultdict(list)
    for state in states:
        if state.parent_state_id is not None:
            families[state.parent_state_id].append(places[state.state_id])
    found = [pair for family in families.values() for pair in combinations(family, 2)]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
