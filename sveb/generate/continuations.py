"""The last stages: truth and draws, fresh continuations of every state."""

from __future__ import annotations

from collections.abc import Sequence

from sveb.generate.job import Job, chunks
from sveb.generate.stages import Unit, grader, run_stage
from sveb.generate.states import State, ordinals

# Continuations in one unit: what a kill may cost, and how often a part file is worth its overhead.
_CHUNK = 64


def draw_continuations(job: Job, states: Sequence[State]) -> None:
    """Truth and draws: fresh continuations of every state under the budget that it has left."""
    numbers = ordinals(states)
    places = {p.problem_id: i for i, p in enumerate(job.problems.test)}
    grade = grader(job.task, job.policy)
    for stage, seeds_of, keep_tokens in (("truth", job.layout.truth, False), ("draws", job.layout.draws, True)):
        units = []
        for state in states:
            place = places[state.problem_id]
            seeds = seeds_of(place, numbers[state.state_id])
            budget = job.plan.sampling.max_new_tokens - len(state.token_ids)
            units += [
                Unit(
                    state.state_id, chunk, job.problems.test[place], job.prompts[state.problem_id], state.token_ids,
                    seeds[start:stop], budget,
                )
                for chunk, start, stop in chunks(len(seeds), _CHUNK)
            ]  # fmt: skip
        run_stage(
            stage, units, job.store, job.policy, job.plan.sampling, job.reporter, grade=grade, keep_tokens=keep_tokens
        )
