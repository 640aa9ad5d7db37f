"""The main calls: `generate` turns a task and a policy into a suite, `dry_run` forecasts its cost."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors
from sveb.generate.allocation import NOTE, room
from sveb.generate.continuation_stage import sample_continuations
from sveb.generate.cost import Forecast
from sveb.generate.forecast import forecast
from sveb.generate.generation import Job, Settings, StoppedError, task_for
from sveb.generate.given_rollouts import given_rollouts
from sveb.generate.next_steps import weigh_next_steps
from sveb.generate.package import package
from sveb.generate.plan import Plan, SeedLayout, differences
from sveb.generate.reporter import Reporter, SilentReporter, load_stage
from sveb.generate.rollout_stage import sample_rollouts
from sveb.generate.state_stage import sample_states
from sveb.generate.tier_stage import choose_problems
from sveb.generate.unit_store import Store
from sveb.policies.engines import choose_engine, load_codec, load_policy
from sveb.policies.models import find_model
from sveb.policies.policy import Sampling
from sveb.suite.manifest import Manifest
from sveb.tasks.graders.judge_grader import judge_for
from sveb.tasks.grading import Grading, grader_identity
from sveb.tasks.problems import data_file, load_problems
from sveb.tasks.task import Task


def generate(settings: Settings, reporter: Reporter | None = None) -> Path:
    """Generates the suite at `settings.out`, or continues it; returns that folder.

    If grades are missing at the end, the suite is complete but its work/ folder stays: the next call tries them again.
    Raises SvebError if the folder holds another suite, or unfinished work of another plan; StoppedError if the same
    call would continue.
    """
    started = time.monotonic()
    with disk_errors(settings.out):
        settings.out.mkdir(parents=True, exist_ok=True)
    try:
        job = prepare(settings, reporter or SilentReporter())
        try:
            if not _complete(settings.out, job.plan):
                with job.grading, job.store:
                    _work(job, started)
            # Also if an earlier run was killed after its last file.
            if not Manifest.read(settings.out).generation.get("missing"):
                shutil.rmtree(settings.out / "work", ignore_errors=True)
            for unfinished in settings.out.glob(".*.tmp"):
                unfinished.unlink()
        finally:
            job.policy.close()
    finally:
        # If nothing was written, the empty folder goes too.
        with suppress(OSError):
            settings.out.rmdir()
    return settings.out


def dry_run(settings: Settings, reporter: Reporter | None = None) -> Forecast:
    """What `generate` would cost, measured by a short trial. Writes nothing."""
    job = prepare(settings, reporter or SilentReporter())
    try:
        return forecast(job)
    finally:
        job.policy.close()


def prepare(settings: Settings, reporter: Reporter) -> Job:
    """Loads the task, its problems and the policy. Writes nothing.

    The caller closes `job.policy`; `job.grading` and `job.store` have to be entered with `with`.
    """
    engine = choose_engine(settings.engine, server_url=settings.server_url, ray_actors=settings.ray_actors)
    task = Task.load(task_for(settings.model, settings.task))
    judge = judge_for(task, settings.judge_url, settings.judge_model, settings.judge_format)
    asked = {name: getattr(settings, name) for name in ("temperature", "top_p", "max_new_tokens")}
    counts, tiers, seed = settings.counts, settings.tiers, settings.seed
    if settings.from_rollouts is not None:
        codec = load_codec(settings.model, settings.revision)
        given = given_rollouts(settings.from_rollouts, settings.model, settings.revision, task, codec, counts, seed)
        problems, usual = given.problems, given.sampling
    else:
        data, given = data_file(task, settings.data, settings.sample), None
        problems = load_problems(task, counts.train_problems, counts.test_problems, seed, data, spare=bool(tiers))
        usual = Sampling(**task.sampling)
        codec = load_codec(settings.model, settings.revision)
    sampling = replace(usual, **{name: value for name, value in asked.items() if value is not None})
    adaptive = settings.truth == "adaptive"
    if adaptive and counts.draws < 1:
        raise SvebError("--truth adaptive needs draws, but --draws is 0: use --draws 16 for example, or --truth fixed")
    layout = SeedLayout(
        counts,
        seed,
        pilots=len(problems.test) * settings.pilot if tiers else 0,
        room=room(counts.continuations) if adaptive else None,
        protocol=settings.protocol,
    )
    reporter.stage(load_stage(engine), 0, 0)
    candidates = [*problems.test, *problems.train]
    template_kwargs = {**task.chat_template_kwargs, **settings.chat_template_kwargs} if given is None else {}
    if given is not None:
        prompts = given.prompts
    else:
        prompts = {p.problem_id: codec.render(task.messages(p), template_kwargs) for p in candidates}
    task = replace(task, thought=codec.opens_thought(next(iter(prompts.values()))))
    longest = settings.protocol.context_budget(max(map(len, prompts.values())), sampling.max_new_tokens)
    policy = load_policy(
        settings.model, engine, max_model_len=longest, revision=settings.revision, server_url=settings.server_url,
        ray_actors=settings.ray_actors, workers=settings.workers,
    )  # fmt: skip
    chosen_by = {"tiers": [asdict(tier) for tier in tiers], "pilot": settings.pilot} if tiers else {}
    plan = Plan(
        name=settings.out.resolve().name,
        protocol=settings.protocol.name,
        task={
            "name": task.name,
            "fingerprint": task.fingerprint,
            "licence": task.licence,
            "dataset": problems.dataset,
            "grader": grader_identity(task),
            **({"judge": judge.identity} if judge else {}),
            **chosen_by,
            **({"chat_template_kwargs": template_kwargs} if template_kwargs else {}),
            **({"thought": task.thought} if task.thought else {}),
        },
        policy={"name": find_model(settings.model).name, **policy.fingerprint},
        sampling=sampling,
        counts=counts,
        seed=seed,
        notes=settings.protocol.notes | ({"truth": NOTE} if adaptive else {}) | (given.note if given else {}),
    )
    return Job(
        settings=settings, plan=plan, task=task, problems=problems, prompts=prompts, layout=layout,
        store=Store(settings.out, plan.to_dict()), policy=policy, sampling=sampling, grading=Grading(task, judge),
        reporter=reporter, problem_of={p.problem_id: p for p in candidates}, given=given,
    )  # fmt: skip


def _work(job: Job, started: float) -> None:
    """All stages, then the files of the suite. `started` is the monotonic clock at the start of this run."""
    try:
        if not job.store.begun:
            job.reporter.forecast(forecast(job))
        job = choose_problems(job)
        sample_rollouts(job)
        states = sample_states(job)
        sample_continuations(job, states)
        states = weigh_next_steps(job, states)
        job.reporter.stage("write suite", 0, 0)
        package(job, states, started)
    except SvebError as error:
        raise StoppedError(str(error)) from error


def _complete(out: Path, plan: Plan) -> bool:
    """Whether `out` holds the finished suite of this plan, with no grade to try again.

    Raises SvebError if it holds a suite of another plan, or other files.
    """
    if not (out / "manifest.json").exists():
        # A run that was killed while it wrote the suite leaves some of the suite's files, and its work/.
        if not (out / "work").is_dir() and any(out.iterdir()):
            raise SvebError(f"{out} holds files but no suite: choose an empty folder with --out")
        return False
    manifest = Manifest.read(out)
    wanted = plan.to_dict()
    found = differences({key: getattr(manifest, key) for key in wanted}, wanted)
    if found:
        raise SvebError(
            f"{out} holds a finished suite with other settings: choose another folder with --out. The settings differ "
            "in:\n  " + "\n  ".join(found)
        )
    return not (manifest.generation.get("missing") and (out / "work").is_dir())
