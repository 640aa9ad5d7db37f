"""The last stages: draws, truth and audit pool, all fresh continuations of every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sveb.generate.allocation import stored_allocation
from sveb.generate.generation import Job
from sveb.generate.state_cuts import StateRecord, ordinals
from sveb.generate.units import Unit

# Continuations in one unit: as many are lost at most if the process is killed. Smaller units cost more overhead.
CHUNK = 64


def sample_continuations(job: Job, states: Sequence[StateRecord]) -> None:
    """Draws, truth, audit pool: continuations of every state, each within the token budget that the protocol grants.

    With adaptive truth the draws decide how many continuations the truth of a state gets.
    """
    numbers = ordinals(states)
    places = {p.problem_id: i for i, p in enumerate(job.problems.test)}
    max_new_tokens = job.plan.sampling.max_new_tokens

    def units(seeds_of: Callable[[int, StateRecord], npt.NDArray[np.uint32]]) -> Iterator[Unit]:
        for state in states:
            place = places[state.problem_id]
            budget = job.settings.protocol.continuation_budget(max_new_tokens, len(state.token_ids))
            whole = Unit(
                state.state_id, job.problems.test[place], job.prompts[state.problem_id], state.token_ids,
                seeds_of(place, state), budget,
            )  # fmt: skip
            yield from whole.chunks(CHUNK)

    job.run("draws", lambda: units(lambda place, state: job.layout.draws(place, numbers[state.state_id])))
    shares = stored_allocation(job, states) if job.settings.truth == "adaptive" else {}

    def truth_seeds(place: int, state: StateRecord) -> npt.NDArray[np.uint32]:
        return job.layout.truth(place, numbers[state.state_id], shares.get(state.state_id))

    job.run("truth", lambda: units(truth_seeds), keep_tokens=False)
    if job.plan.counts.audit:
        job.run(
            "audit", lambda: units(lambda place, state: job.layout.audit(place, numbers[state.state_id])),
            keep_tokens=False,
        )  # fmt: skip
