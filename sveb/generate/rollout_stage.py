"""The rollout stage: whole responses to every problem, with their returns."""

from __future__ import annotations

from collections.abc import Iterator

from sveb.generate.generation import Job
from sveb.generate.plan import Counts
from sveb.generate.state_cuts import RolloutRecord
from sveb.generate.units import Unit

# Rollouts in one unit: as many are lost at most if the process is killed.
_CHUNK = 16


def sample_rollouts(job: Job) -> None:
    """Context and probe rollouts of the test problems and training rollouts of the others, into the store."""
    budget = job.plan.sampling.max_new_tokens

    def units() -> Iterator[Unit]:
        for i, p in enumerate(job.ordered):
            seeds = job.layout.rollouts(i, *job.to_sample(i))
            yield from Unit(p.problem_id, p, job.prompts[p.problem_id], (), seeds, budget).chunks(_CHUNK)

    job.run("rollouts", units)


def stored_rollouts(job: Job, role: str | None = None) -> Iterator[RolloutRecord]:
    """The given and the stored rollouts (of one role, or of all), in the plan's order; of the store a few at a time."""
    places = {p.problem_id: i for i, p in enumerate(job.ordered)}
    columns = ["token_ids", "return_", "finish_reason", "seed"]
    for name, rows in job.store.in_order("rollouts", places, columns, at_once=64):
        is_test = places[name] < len(job.problems.test)
        first, _ = job.to_sample(places[name])
        if job.given is not None:
            yield from (rollout for rollout in job.given.rollouts[name] if role in (None, rollout.role))
        for row in rows:
            for place, tokens in enumerate(row["token_ids"]):
                found, label = _role(is_test, first + int(row["chunk"]) * _CHUNK + place, job.plan.counts)
                if role in (None, found):
                    yield RolloutRecord(
                        f"{name}/{label}", name, found, tokens, job.policy.codec.decode(tokens), row["return_"][place],
                        row["finish_reason"][place], job.task.step_ends(job.policy.codec.pieces(tokens)),
                        row["seed"][place],
                    )  # fmt: skip


def _role(is_test: bool, number: int, counts: Counts) -> tuple[str, str]:
    if not is_test:
        return "train", f"t{number:02d}"
    if number < counts.group:
        return "context", f"c{number:02d}"
    return "probe", f"p{number - counts.group}"
