"""The state stage: cuts states as the protocol says, and samples alternative next steps at some of them."""

from __future__ import annotations

from sveb.generate.generation import Job
from sveb.generate.rollout_stage import stored_rollouts
from sveb.generate.space_cut import one_state_a_problem
from sveb.generate.state_cuts import StateRecord, path_states, root_state, sibling_parents, sibling_states
from sveb.generate.units import Unit
from sveb.suite.protocol import Protocol


def sample_states(job: Job) -> list[StateRecord]:
    """The states of the test problems, in stored order."""
    protocol = job.settings.protocol
    return {"steps": _at_steps, "random_space": _at_a_space}[protocol.cut](job, protocol)


def _at_a_space(job: Job, protocol: Protocol) -> list[StateRecord]:
    """One path state a problem."""
    rollouts = stored_rollouts(job, protocol.cut_from)
    return one_state_a_problem(rollouts, job.task, job.policy.codec, job.plan.seed, label=protocol.name)


def _at_steps(job: Job, protocol: Protocol) -> list[StateRecord]:
    """Root, path and sibling states."""
    counts, seed, codec = job.plan.counts, job.plan.seed, job.policy.codec
    paths = [
        state
        for rollout in stored_rollouts(job, protocol.cut_from)
        for state in path_states(rollout, job.task, codec, counts.path_states, seed)
    ]
    parents = sibling_parents(paths, counts, seed)
    whole, step_budget = job.plan.sampling.max_new_tokens, int(job.task.steps["max_tokens"])
    units = [
        Unit(
            parent.state_id, p, job.prompts[p.problem_id], parent.token_ids, job.layout.siblings(i, number),
            min(step_budget, protocol.continuation_budget(whole, len(parent.token_ids))),
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
