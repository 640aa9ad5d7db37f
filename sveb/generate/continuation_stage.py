"""The last stages: truth and draws, fresh continuations of every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sveb.generate.generation import Job, chunks
from sveb.generate.paper_states import PAPER
from sveb.generate.state_cuts import State, ordinals
from sveb.generate.stored_allocation import stored_allocation
from sveb.generate.units import Unit

# Continuations in one unit: what a kill may cost, and how often a part file is worth its overhead.
CHUNK = 64


def draw_continuations(job: Job, states: Sequence[State]) -> None:
    """Draws and truth: fresh continuations of every state under the budget that it has left.

    Under protocol paper each has a whole response's budget, as published. Adaptive truth is allocated by the draws.
    """
    numbers = ordinals(states)
    places = {p.problem_id: i for i, p in enumerate(job.problems.test)}

    def units(seeds_of: Callable[[int, State], npt.NDArray[np.uint32]]) -> Iterator[Unit]:
        for state in states:
            place = places[state.problem_id]
            seeds = seeds_of(place, state)
            spent = 0 if job.plan.protocol == PAPER else len(state.token_ids)
            budget = job.plan.sampling.max_new_tokens - spent
            for chunk, start, stop in chunks(len(seeds), CHUNK):
                yield Unit(
                    state.state_id, chunk, job.problems.test[place], job.prompts[state.problem_id], state.token_ids,
                    seeds[start:stop], budget,
                )  # fmt: skip

    job.run("draws", lambda: units(lambda place, state: job.layout.draws(place, numbers[state.state_id])))
    shares = stored_allocation(job, states) if job.settings.truth == "adaptive" else {}

    def truth_seeds(place: int, state: State) -> npt.NDArray[np.uint32]:
        return job.layout.truth(place, numbers[state.state_id], shares.get(state.state_id))

    job.run("truth", lambda: units(truth_seeds), keep_tokens=False)
