"""How much the step after each path state weighs in a policy gradient: one forward pass over the probe rollouts.

A token's weight is the squared length of the gradient of its log-probability with respect to the logits
(`Policy.token_weights`). A step's weight is the sum over its tokens. Nothing is stored before the suite is written: a
stopped run reads again, in the same batches, so that its figures are the same to the last bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from sveb.generate.generation import Job
from sveb.generate.rollout_stage import stored_rollouts
from sveb.generate.stage_runner import guarded
from sveb.generate.state_cuts import StateRecord

_AT_ONCE = 256  # rollouts


def weigh_next_steps(job: Job, states: Sequence[StateRecord]) -> list[StateRecord]:
    """The states with `next_weight` where they have `next_tokens`; without, if the engine shows no distributions."""
    wanted: dict[str, list[StateRecord]] = defaultdict(list)
    for state in states:
        if state.rollout_id is not None and state.next_tokens is not None:
            wanted[state.rollout_id].append(state)
    if not wanted:
        return list(states)
    job.reporter.stage("weigh steps", len(wanted), 0)
    found = dict(guarded(_weigh(job, wanted), "weigh steps", job.store))
    return [replace(state, next_weight=found.get(state.state_id)) for state in states]


def _weigh(job: Job, wanted: dict[str, list[StateRecord]]) -> Iterator[tuple[str, float]]:
    cut = (rollout for rollout in stored_rollouts(job, job.settings.protocol.cut_from) if rollout.rollout_id in wanted)
    while rollouts := list(islice(cut, _AT_ONCE)):
        prompts = [job.prompts[rollout.problem_id] for rollout in rollouts]
        weights = job.policy.token_weights(
            [[*prompt, *rollout.token_ids] for prompt, rollout in zip(prompts, rollouts, strict=True)]
        )
        if weights is None:
            job.reporter.advance(len(wanted), 0)
            return
        for prompt, rollout, found in zip(prompts, rollouts, weights, strict=True):
            for state in wanted[rollout.rollout_id]:
                # `found` begins with the second token.
                first = len(prompt) + len(state.token_ids) - 1
                yield state.state_id, float(found[first : first + (state.next_tokens or 0)].sum(dtype="float64"))
        job.reporter.advance(len(rollouts), 0)  # nothing is sampled
