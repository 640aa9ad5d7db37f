"""The last stages: truth and draws, fresh continuations of every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sveb.generate.job import Job, chunks
from sveb.generate.states import State, ordinals
from sveb.generate.units import Unit

# Continuations in one unit: what a kill may cost, and how often a part file is worth its overhead.
_CHUNK = 64


def draw_continuations(job: Job, states: Sequence[State]) -> None:
    """Truth and draws: fresh continuations of every state under the budget that it has left."""
    numbers = ordinals(states)
    places = {p.problem_id: i for i, p in enumerate(job.problems.test)}

    def units(seeds_of: Callable[[int, int], npt.NDArray[np.uint32]]) -> Iterator[Unit]:
        for state in states:
            place = places[state.problem_id]
            seeds = seeds_of(place, numbers[state.state_id])
            budget = job.plan.sampling.max_new_tokens - len(state.token_ids)
            for chunk, start, stop in chunks(len(seeds), _CHUNK):
                yield Unit(
                    state.state_id, chunk, job.problems.test[place], job.prompts[state.problem_id], state.token_ids,
                    seeds[start:stop], budget,
                )  # fmt: skip

    job.run("truth", lambda: units(job.layout.truth), keep_tokens=False)
    job.run("draws", lambda: units(job.layout.draws))
