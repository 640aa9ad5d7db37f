"""The main job: one call that turns a task and a policy into a suite, and continues where it was stopped."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors
from sveb.generate.allocation import NOTE, room
from sveb.generate.continuation_stage import draw_continuations
from sveb.generate.forecast import Forecast, forecast
from sveb.generate.generation import Job, Settings, StoppedError
from sveb.generate.package import package
from sveb.generate.paper_states import LEAKS, PAPER
from sveb.generate.plan import Plan, SeedLayout, differences
from sveb.generate.rollout_stage import draw_rollouts
from sveb.generate.run_stage import Reporter, load_stage
from sveb.generate.state_stage import draw_states
from sveb.generate.tier_stage import choose_problems
from sveb.generate.unit_store import Store
from sveb.policies.engines import choose_engine, load_codec, load_policy
from sveb.policies.models import find_model
from sveb.policies.policy import Sampling
from sveb.suite.manifest import Manifest
from sveb.tasks.graders.judge_grader import judge_for
from sveb.tasks.grading import Grading
from sveb.tasks.problems import data_file, load_problems
from sveb.tasks.task import Task


def task_for(model: str, task: str | None) -> str:
    """The task to use: the one asked for, else the model's default."""
    found = task or find_model(model).task
    if found is None:
        raise SvebError(f"model {model!r} has no default task: name one with --task (`sveb tasks` lists them)")
    return found


def prepare(settings: Settings, reporter: Reporter) -> Job:
    """Loads the task, its problems and the policy; touches nothing on the disk.

    The caller closes `job.policy`; `job.grading` and `job.store` work inside their `with`.
    """
    engine = choose_engine(settings.engine, server_url=settings.server_url, ray_actors=settings.ray_actors)
    task = Task.load(task_for(settings.model, settings.task))
    judge = judge_for(task, settings.judge_url, settings.judge_model)
    grading = Grading(task, judge)
    asked = {name: getattr(settings, name) for name in ("temperature", "top_p", "max_new_tokens")}
    sampling = Sampling(**{**task.sampling, **{name: value for name, value in asked.items() if value is not None}})
    counts, tiers = settings.counts, settings.tiers
    data = data_file(task, settings.data, settings.sample)
    problems = load_problems(task, counts.train_problems, counts.test_problems, settings.seed, data, spare=bool(tiers))
    adaptive = settings.truth == "adaptive"
    if adaptive and counts.draws < 1:
        raise SvebError(
            "--truth adaptive decides by the draws, and there are none: pass --draws 16 or so, or use --truth fixed"
        )
    layout = SeedLayout(
        counts,
        settings.seed,
        pilots=len(problems.test) * settings.pilot if tiers else 0,
        room=room(counts.continuations) if adaptive else None,
    )
    reporter.stage(load_stage(engine), 0, 0)
    codec = load_codec(settings.model, settings.revision)
    prompts = {p.problem_id: codec.render(task.messages(p)) for p in [*problems.test, *problems.train]}
    # Under protocol paper a whole response may be continued by a whole response.
    budgets = 2 if settings.protocol == PAPER else 1
    longest = max(len(prompt) for prompt in prompts.values()) + budgets * sampling.max_new_tokens
    policy = load_policy(
        settings.model, engine, max_model_len=longest, revision=settings.revision, server_url=settings.server_url,
        ray_actors=settings.ray_actors,
    )  # fmt: skip
    chosen_by = {"tiers": [asdict(tier) for tier in tiers], "pilot": settings.pilot} if tiers else {}
    plan = Plan(
        name=settings.out.resolve().name,
        protocol=settings.protocol,
        task={
            "name": task.name,
            "fingerprint": task.fingerprint,
            "licence": task.licence,
            "dataset": problems.dataset,
            **({"judge": judge.identity} if judge else {}),
            **chosen_by,
        },
        policy={"name": find_model(settings.model).name, **policy.fingerprint},
        sampling=sampling,
        counts=counts,
        seed=settings.seed,
        notes=({"leaks": LEAKS} if settings.protocol == PAPER else {}) | ({"truth": NOTE} if adaptive else {}),
    )
    store = Store(settings.out, plan.to_dict())
    return Job(settings, plan, task, policy, problems, prompts, layout, store, reporter, grading)


def generate(settings: Settings, reporter: Reporter) -> Path:
    """Generates (or continues) the suite at `settings.out`; returns that folder.

    Where grades stay missing the suite is whole and its work/ remains: the next call tries them once more.
    Raises SvebError where the folder holds another suite or another plan's unfinished work, StoppedError where the same
    call would continue.
    """
    started = time.monotonic()
    with disk_errors(settings.out):
        settings.out.mkdir(parents=True, exist_ok=True)
    try:
        job = prepare(settings, reporter)
        try:
            if not _complete(settings.out, job.plan):
                with job.grading, job.store:
                    _work(job, started)
            # Here too if an earlier run was killed after its last file.
            if not Manifest.read(settings.out).generation.get("missing"):
                shutil.rmtree(settings.out / "work", ignore_errors=True)
            for debris in settings.out.glob(".*.tmp"):
                debris.unlink()
        finally:
            job.policy.close()
    finally:
        # Of a run that never began nothing is left.
        with suppress(OSError):
            settings.out.rmdir()
    return settings.out


def _work(job: Job, started: float) -> None:
    """All stages, and the suite's files. `started` is the monotonic clock at this run's start."""
    try:
        if not job.store.begun:
            job.reporter.forecast(forecast(job))
        job = choose_problems(job)
        draw_rollouts(job)
        states = draw_states(job)
        draw_continuations(job, states)
        job.reporter.stage("write suite", 0, 0)
        package(job, states, started)
    except SvebError as error:
        raise StoppedError(str(error)) from error


def dry_run(settings: Settings, reporter: Reporter) -> Forecast:
    """What `generate` would cost, by a short pilot; nothing is written."""
    job = prepare(settings, reporter)
    try:
        return forecast(job)
    finally:
        job.policy.close()


def _complete(out: Path, plan: Plan) -> bool:
    """Whether `out` is a finished suite of this very plan, with nothing left to grade.

    A suite of another plan, or foreign files, are refused.
    """
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
    return not (manifest.generation.get("missing") and (out / "work").is_dir())
