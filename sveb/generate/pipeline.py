"""The main job: one call that turns a task and a policy into a suite, and continues where it was stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sveb.core.errors import SvebError
from sveb.core.files import disk_errors
from sveb.core.manifest import Manifest
from sveb.core.records import ProblemRecord
from sveb.generate.package import package
from sveb.generate.plan import Counts, Plan, SeedLayout, differences
from sveb.generate.stages import Reporter, Unit, grader, run_stage
from sveb.generate.states import Rollout, State, ordinals, path_states, root_state, sibling_parents, sibling_states
from sveb.generate.store import Store
from sveb.policies import choose_engine, load_codec, load_policy
from sveb.policies.base import Policy, Sampling
from sveb.policies.models import find_model
from sveb.tasks.problems import ProblemSet, load_problems
from sveb.tasks.task import Task

# Continuations in one unit: what a kill may cost, and how often a part file is worth its overhead.
_ROLLOUT_CHUNK = 16
_CONTINUATION_CHUNK = 64


@dataclass(frozen=True)
class Settings:
    """What the caller asks for. None: the model's, the task's or the preset's own value."""

    model: str
    out: Path
    counts: Counts
    task: str | None = None
    engine: str | None = None
    revision: str | None = None
    data: Path | None = None
    seed: int = 0
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True)
class _Job:
    """One generation under way."""

    settings: Settings
    plan: Plan
    task: Task
    policy: Policy
    problems: ProblemSet
    prompts: dict[str, list[int]]
    layout: SeedLayout
    store: Store
    reporter: Reporter

    @property
    def ordered(self) -> list[ProblemRecord]:
        """Test problems, then training problems: a problem's place here numbers its seeds."""
        return [*self.problems.test, *self.problems.train]


def task_for(model: str, task: str | None) -> str:
    """The task to use: the one asked for, else the model's default."""
    found = task or find_model(model).task
    if found is None:
        raise SvebError(f"model {model!r} has no default task: name one with --task (`sveb tasks` lists them)")
    return found


def generate(settings: Settings, reporter: Reporter) -> Path:
    """Generates (or continues) the suite at `settings.out`; returns that folder.

    Raises SvebError where the folder holds another suite or another plan's unfinished work.
    """
    started = time.monotonic()
    engine = choose_engine(settings.engine)
    task = Task.load(task_for(settings.model, settings.task))
    asked = {name: getattr(settings, name) for name in ("temperature", "top_p", "max_new_tokens")}
    sampling = Sampling(**{**task.sampling, **{name: value for name, value in asked.items() if value is not None}})
    layout = SeedLayout(settings.counts, settings.seed)
    problems = load_problems(
        task, settings.counts.train_problems, settings.counts.test_problems, settings.seed, settings.data
    )
    with disk_errors(settings.out):
        settings.out.mkdir(parents=True, exist_ok=True)
    reporter.stage("load policy", 0, 0)
    codec = load_codec(settings.model, settings.revision)
    prompts = {p.problem_id: codec.render(task.messages(p)) for p in [*problems.test, *problems.train]}
    longest = max(len(prompt) for prompt in prompts.values()) + sampling.max_new_tokens
    policy = load_policy(settings.model, engine, max_model_len=longest, revision=settings.revision)
    try:
        plan = Plan(
            name=settings.out.resolve().name,
            protocol="standard",
            task={"name": task.name, "fingerprint": task.fingerprint, "dataset": problems.dataset},
            policy={"name": find_model(settings.model).name, **policy.fingerprint},
            sampling=sampling,
            counts=settings.counts,
            seed=settings.seed,
        )
        if not _complete(settings.out, plan):
            with Store(settings.out, plan.to_dict()) as store:
                job = _Job(settings, plan, task, policy, problems, prompts, layout, store, reporter)
                rollouts = _rollouts(job)
                states = _states(job, rollouts)
                _continuations(job, states)
                reporter.stage("write suite", 0, 0)
                package(settings.out, plan, problems, prompts, rollouts, states, store, policy.codec, started)
        # Here too if an earlier run was killed after its last file.
        shutil.rmtree(settings.out / "work", ignore_errors=True)
        for debris in settings.out.glob(".*.tmp"):
            debris.unlink()
    finally:
        policy.close()
    return settings.out


def _complete(out: Path, plan: Plan) -> bool:
    """Whether `out` is a finished suite of this very plan; of another one, or foreign files: refused."""
    if not (out / "manifest.json").exists():
        # A run that was killed while it wrote the suite leaves some of its files beside its work.
        if not (out / "work").is_dir() and any(out.iterdir()):
            raise SvebError(f"{out} holds other files and no suite: choose an empty folder with --out")
        return False
    manifest = Manifest.read(out)
    wanted = plan.to_dict()
    found = differences({key: getattr(manifest, key) for key in wanted}, wanted)
    if found:
        raise SvebError(
            f"{out} holds a finished suite with other settings; choose another --out. It differs in:\n  "
            + "\n  ".join(found)
        )
    return True


def _chunks(total: int, size: int) -> list[tuple[int, int, int]]:
    """(chunk, start, stop) that cover range(total)."""
    return [(i, start, min(start + size, total)) for i, start in enumerate(range(0, total, size))]


def _rollouts(job: _Job) -> list[Rollout]:
    """Context and probe rollouts of the test problems, training rollouts of the others."""
    counts, budget = job.plan.counts, job.plan.sampling.max_new_tokens
    tests = {problem.problem_id for problem in job.problems.test}
    units = [
        Unit(p.problem_id, chunk, p, job.prompts[p.problem_id], (), job.layout.rollouts(i, start, stop - start), budget)
        for i, p in enumerate(job.ordered)
        for chunk, start, stop in _chunks(
            counts.group + counts.probes if p.problem_id in tests else counts.train_group, _ROLLOUT_CHUNK
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
            number = unit.chunk * _ROLLOUT_CHUNK + place
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


def _states(job: _Job, rollouts: Sequence[Rollout]) -> list[State]:
    """Root, path and sibling states of the test problems, in stored order."""
    counts, seed, codec = job.plan.counts, job.plan.seed, job.policy.codec
    paths = [
        state
        for rollout in rollouts
        if rollout.role == "probe"
        for state in path_states(rollout, job.task, codec, counts.path_states, seed)
    ]
    parents = sibling_parents(paths, counts, seed)
    budget, step_budget = job.plan.sampling.max_new_tokens, int(job.task.steps["max_tokens"])
    units = [
        Unit(
            parent.state_id, 0, p, job.prompts[p.problem_id], parent.token_ids, job.layout.siblings(i, number),
            min(step_budget, budget - len(parent.token_ids)),
        )
        for i, p in enumerate(job.problems.test)
        for number, parent in enumerate(parents.get(p.problem_id, []))
    ]  # fmt: skip
    run_stage("siblings", units, job.store, job.policy, job.plan.sampling, job.reporter, grade=None)

    alternatives = {row["unit_id"]: row["token_ids"] for row in job.store.read("siblings", ["unit_id", "token_ids"])}
    found: dict[str, list[State]] = {p.problem_id: [root_state(p.problem_id)] for p in job.problems.test}
    for state in paths:
        found[state.problem_id].append(state)
    for problem_id, chosen in parents.items():
        for parent in chosen:
            found[problem_id] += sibling_states(parent, alternatives[parent.state_id], job.task, codec)
    return [state for states in found.values() for state in states]


def _continuations(job: _Job, states: Sequence[State]) -> None:
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
                for chunk, start, stop in _chunks(len(seeds), _CONTINUATION_CHUNK)
            ]  # fmt: skip
        run_stage(
            stage, units, job.store, job.policy, job.plan.sampling, job.reporter, grade=grade, keep_tokens=keep_tokens
        )
