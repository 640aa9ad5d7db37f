"""The first stage, only with tiers: a pilot of every candidate, whose pass rates choose the test problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sveb.generate.generation import Job
from sveb.generate.tiers import select
from sveb.generate.units import Unit
from sveb.suite.records import ProblemRecord


def choose_problems(job: Job) -> Job:
    """The job with the test problems that its tiers choose; without tiers, the job unchanged."""
    tiers, pilot = job.settings.tiers, job.settings.pilot
    if not tiers:
        return job
    places = {problem.problem_id: i for i, problem in enumerate(job.problems.test)}

    def pass_rates(problems: Sequence[ProblemRecord]) -> Mapping[str, float | None]:
        units = [
            Unit(
                p.problem_id, p, job.prompts[p.problem_id], (), job.layout.pilot(places[p.problem_id], pilot),
                job.plan.sampling.max_new_tokens,
            )
            for p in problems
        ]  # fmt: skip
        # Once the chosen problems have rollouts, a grade that arrives later must not change the choice.
        job.run("pilot", lambda: units, keep_tokens=False, retry=not job.store.parts("rollouts"))
        asked = {p.problem_id for p in problems}
        return {
            row["unit_id"]: None if None in row["return_"] else sum(row["return_"]) / len(row["return_"])
            for row in job.store.read("pilot", ["unit_id", "return_"])
            if row["unit_id"] in asked
        }

    selection = select(job.problems.test, tiers, pass_rates)
    return replace(job, problems=replace(job.problems, test=selection.problems), selection=selection)
