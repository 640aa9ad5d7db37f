"""The state stage: cuts states from the probe rollouts, and samples alternative next steps at some of them."""

from __future__ import annotations

from sveb.generate.generation import Job
from sveb.generate.paper_states import PAPER, paper_states
from sveb.generate.rollout_stage import stored_rollouts
from sveb.generate.state_cuts import StateRecord, path_states, root_state, sibling_parents, sibling_states
from sveb.generate.units import Unit


def sample_states(job: Job) -> list[StateRecord]:
    """The root, path and sibling states of the test problems, in stored order; under protocol paper one per problem."""
    if job.plan.protocol == PAPER:
        return paper_states(stored_rollouts(job, "context"), job.task, job.policy.codec, job.plan.seed)
    counts, seed, codec = job.plan.counts, job.plan.seed, job.policy.codec
    paths = [
        state
        for rollout in stored_rollouts(job, "probe")
        for state in path_states(rollout, job.task, codec, counts.path_states, seed)
    ]
    parents = sibling_parents(paths, counts, seed)
    budget, step_budget = job.plan.sampling.max_new_tokens, int(job.task.steps["max_tokens"])
    units = [
        Unit(
            parent.state_id, p, job.prompts[p.problem_id], parent.token_ids, job.layout.siblings(i, number),
            min(step_budget, budget - len(parent.token_ids)),
        )
        for i, p in enumerate(job.problems.test)
        for number, parent in enumerate(parents.get(p.problem_id, []))
    ]  # fmt: skip
    job.run("siblings", lambda: units, graded=False)

    alternatives = {row["unit_id"]: row["token_ids"] for row in job.store.read("siblings", ["unit_id", "token_ids"])}
    found: dict[str, list[StateRecord]] = {p.problem_id: [root_state(p.problem_id)] for p in job.problems.test}
    for state in paths:
        found[state.problem_id].append(state)
    for problem_id, chosen in parents.items():
        for parent in chosen:
            found[problem_id] += sibling_states(parent, alternatives[parent.state_id], job.task, codec)
    return [state for states in found.values() for state in states]
