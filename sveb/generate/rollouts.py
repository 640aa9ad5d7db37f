"""The first stage: full responses to every problem, with their returns."""

from __future__ import annotations

from sveb.generate.job import Job, chunks
from sveb.generate.plan import Counts
from sveb.generate.stages import Unit, grader, run_stage
from sveb.generate.states import Rollout

# Rollouts in one unit: what a kill may cost.
_CHUNK = 16


def draw_rollouts(job: Job) -> list[Rollout]:
    """Context and probe rollouts of the test problems, training rollouts of the others."""
    counts, budget = job.plan.counts, job.plan.sampling.max_new_tokens
    tests = {problem.problem_id for problem in job.problems.test}
    units = [
        Unit(p.problem_id, chunk, p, job.prompts[p.problem_id], (), job.layout.rollouts(i, start, stop - start), budget)
        for i, p in enumerate(job.ordered)
        for chunk, start, stop in chunks(
            counts.group + counts.probes if p.problem_id in tests else counts.train_group, _CHUNK
        )
    ]
    grade = grader(job.task, job.policy)
    run_stage("rollouts", units, job.store, job.policy, job.plan.sampling, job.reporter, grade=grade)

    finished = {(row["unit_id"], row["chunk"]): row for row in job.store.read("rollouts")}
    rollouts: list[Rollout] = []
    for unit in units:
        row = finished[unit.unit_id, unit.chunk]
        texts = job.policy.codec.decode_many(row["token_ids"])
        for place, tokens in enumerate(row["token_ids"]):
            number = unit.chunk * _CHUNK + place
            role, label = _role(unit.unit_id in tests, number, counts)
            rollouts.append(
                Rollout(
                    f"{unit.unit_id}/{label}", unit.unit_id, role, tokens, texts[place], row["return_"][place],
                    row["finish_reason"][place], job.task.step_ends(job.policy.codec.pieces(tokens)),
                    row["seed"][place],
                )
            )  # fmt: skip
    return rollouts


def _role(is_test: bool, number: int, counts: Counts) -> tuple[str, str]:
    if not is_test:
        return "train", f"t{number:02d}"
    if number < counts.group:
        return "context", f"c{number:02d}"
    return "probe", f"p{number - counts.group}"
