"""The main job: one call that turns a task and a policy into a suite, and continues where it was stopped."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from sveb.core.errors import SvebError
from sveb.core.files import disk_errors
from sveb.core.manifest import Manifest
from sveb.generate.continuations import draw_continuations
from sveb.generate.job import Job, Settings
from sveb.generate.package import package
from sveb.generate.plan import Plan, SeedLayout, differences
from sveb.generate.rollouts import draw_rollouts
from sveb.generate.siblings import draw_states
from sveb.generate.stages import Reporter
from sveb.generate.store import Store
from sveb.policies import choose_engine, load_codec, load_policy
from sveb.policies.base import Sampling
from sveb.policies.models import find_model
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task


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
            task={
                "name": task.name,
                "fingerprint": task.fingerprint,
                "licence": task.licence,
                "dataset": problems.dataset,
            },
            policy={"name": find_model(settings.model).name, **policy.fingerprint},
            sampling=sampling,
            counts=settings.counts,
            seed=settings.seed,
        )
        if not _complete(settings.out, plan):
            with Store(settings.out, plan.to_dict()) as store:
                job = Job(settings, plan, task, policy, problems, prompts, layout, store, reporter)
                rollouts = draw_rollouts(job)
                states = draw_states(job, rollouts)
                draw_continuations(job, states)
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
