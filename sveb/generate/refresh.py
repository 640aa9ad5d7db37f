"""A fresh truth on the same states, for a suite whose truth has leaked or that entries were fitted to.

The new suite has the same problems, rollouts, states and draws, byte for byte. The continuations of its truth and of
its audit pool are new: sampled with the same policy from another seed. That seed is random by default, so that nobody
can compute the next truth before it is published.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors, read_json
from sveb.common.seeds import SPACE, seeds
from sveb.generate.continuation_stage import CHUNK
from sveb.generate.generation import StoppedError
from sveb.generate.package import audit_rows, missing_grades, truth_rows
from sveb.generate.reporter import Reporter, SilentReporter, load_stage
from sveb.generate.stage_runner import StageRunner
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.engines import ENGINES, load_policy
from sveb.policies.policy import Policy, Sampling
from sveb.suite.assemble import assemble
from sveb.suite.manifest import Manifest, version_numbers
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.suite.tables import write_rows
from sveb.tasks.graders.judge_grader import JudgeEndpoint, judge_for
from sveb.tasks.grading import Grading, grader_identity
from sveb.tasks.task import Task

_SAME = ("problems", "rollouts", "states", "draws")
_NEW = ("truth", "audit")
_SEEDS = 2**63


@dataclass(frozen=True)
class Refresh:
    """What the caller asks for. None: as many continuations per state as before, a random seed, the suite's engine.

    `audit`: continuations of each state in the audit pool.
    """

    suite: Suite
    out: Path
    continuations: int | None = None
    audit: int | None = None
    seed: int | None = None
    engine: str | None = None
    server_url: str | None = None
    workers: int | None = None
    judge_url: str | None = None
    judge_model: str | None = None
    judge_format: str = "verdict"


def refresh(asked: Refresh, reporter: Reporter | None = None) -> Path:
    """Samples the new truth, or continues it, and writes the suite of the next version; returns its folder.

    Raises SvebError before anything is sampled if the policy, the task or the judge are not those of the suite, if the
    suite was split, or if the folder holds something else; StoppedError if the same call would continue.
    """
    started = time.monotonic()
    reporter = reporter or SilentReporter()
    m, out = asked.suite.manifest, asked.out
    if m.private:
        raise SvebError(
            f"{asked.suite.path} is the public part of a split suite: refresh the whole suite, then split that again"
        )
    version = next_version(m.version)
    task, judge = _task(asked)
    seed = _seed(asked)
    if _complete(out):
        return out
    engine = asked.engine or (m.policy["engine"] if m.policy["engine"] in ENGINES else None)
    reporter.stage(load_stage(engine), 0, 0)
    audit = _audit(asked)
    prefixes = _Prefixes(asked.suite, asked.continuations, audit, seed)
    policy = load_policy(
        m.policy["source"], engine, max_model_len=prefixes.longest, revision=m.policy["revision"],
        server_url=asked.server_url, workers=asked.workers,
    )  # fmt: skip
    try:
        _check_policy(m, policy)
        plan = _origin(asked, seed) | {
            "policy": policy.fingerprint, "grader": grader_identity(task), "continuations": asked.continuations,
            "audit": audit,
        }  # fmt: skip
        with disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
        with Grading(task, judge) as grading, Store(out, plan) as store:
            runner = StageRunner(
                store=store, policy=policy, sampling=prefixes.sampling, grading=grading, reporter=reporter,
                problem_of=prefixes.problems,
            )  # fmt: skip
            try:
                runner.run("truth", lambda: prefixes.units("truth"), keep_tokens=False)
                if audit:
                    runner.run("audit", lambda: prefixes.units("audit"), keep_tokens=False)
                reporter.stage("write suite", 0, 0)
                _write(asked, version, plan, prefixes, runner, started)
            except SvebError as error:
                raise StoppedError(str(error)) from error
    finally:
        policy.close()
    if not _ungraded(Manifest.read(out)):
        shutil.rmtree(out / "work", ignore_errors=True)
    return out


def next_version(version: str) -> str:
    """The next minor version, `1.1.0` after `1.0.0`: predictions stay valid, but scores cannot be compared."""
    major, minor, _ = version_numbers(version)
    return f"{major}.{minor + 1}.0"


class _Prefixes:
    """The states as units of work. The seeds of a state follow those of the state before it; no seed is used twice."""

    def __init__(self, suite: Suite, continuations: int | None, audit: int, seed: int) -> None:
        m = suite.manifest
        self.sampling = Sampling(**m.sampling)
        self.problems: dict[str, ProblemRecord] = {}
        self._prompts: dict[str, list[int]] = {}
        for row in suite.table("problems", filters=[("split", "=", "test")]).to_pylist():
            name = row["problem_id"]
            extras = json.loads(row["extras"] or "{}")
            self.problems[name] = ProblemRecord(name, row["question"], row["answer"], row["tier"], extras)
            self._prompts[name] = row["prompt_token_ids"]
        self._states = suite.table("states", ["state_id", "problem_id", "token_ids"])
        self.places = {name: place for place, name in enumerate(self._states["state_id"].to_pylist())}
        counts = np.array([_before(suite)[name] if continuations is None else continuations for name in self.places])
        first = np.concatenate([[0], np.cumsum(counts)])
        # The audit pools follow after the truth of all states.
        self._first = {"truth": first, "audit": first[-1] + audit * np.arange(len(first))}
        if (last := int(self._first["audit"][-1])) > SPACE:
            raise SvebError(f"{last:,} continuations exceed the 2^32 seeds of one suite: use a smaller --continuations")
        self._seed = seed
        self._protocol = suite.protocol
        self.longest = self._protocol.context_budget(
            max(map(len, self._prompts.values())), self.sampling.max_new_tokens
        )

    def units(self, stage: Literal["truth", "audit"]) -> Iterator[Unit]:
        """All units of a stage, made one by one."""
        first = self._first[stage]
        columns = (self._states[name] for name in ("state_id", "problem_id", "token_ids"))
        for place, (name, problem, tokens) in enumerate(zip(*columns, strict=True)):
            response, problem_id = tokens.as_py(), problem.as_py()
            own = seeds(self._seed, np.arange(first[place], first[place + 1]))
            budget = self._protocol.continuation_budget(self.sampling.max_new_tokens, len(response))
            whole = Unit(
                name.as_py(), self.problems[problem_id], self._prompts[problem_id], response, own, budget
            )  # fmt: skip
            yield from whole.chunks(CHUNK)


def _before(suite: Suite) -> dict[str, int]:
    """The number of truth continuations of each state in the old suite, by state_id."""
    table = suite.table("truth", ["state_id", "n_continuations", "n_missing"]).to_pydict()
    graded, missing = np.array(table["n_continuations"]), np.array(table["n_missing"])
    return dict(zip(table["state_id"], (graded + missing).tolist(), strict=True))


def _write(
    asked: Refresh, version: str, plan: dict[str, Any], prefixes: _Prefixes, runner: StageRunner, started: float
) -> None:
    out, m, store = asked.out, asked.suite.manifest, runner.store
    # While the truth changes (missing grades are tried again), the folder must not look like a finished suite.
    (out / "manifest.json").unlink(missing_ok=True)
    with disk_errors(out):
        for name in _SAME:
            shutil.copyfile(asked.suite.path / f"{name}.parquet", out / f"{name}.parquet")
    write_rows(out, "truth", truth_rows(prefixes.places, store))
    if plan["audit"]:
        write_rows(out, "audit", audit_rows(prefixes.places, store))
    missing = {stage: found for stage, found in m.generation.get("missing", {}).items() if stage not in _NEW}
    missing |= missing_grades(runner)
    notes, counts = dict(m.notes), m.counts | {"audit": plan["audit"]}
    if asked.continuations is not None:
        notes.pop("truth", None)  # how an uneven number of continuations was chosen
        counts["continuations"] = asked.continuations
    manifest = replace(
        m,
        version=version,
        task=m.task | {"grader": plan["grader"]},
        policy={"name": m.policy["name"], **plan["policy"]},
        counts=counts,
        generation=m.generation
        | {
            "tokens_sampled": sum(sum(row["n_tokens"]) for stage in _NEW for row in store.read(stage, ["n_tokens"])),
            "last_run_wall_s": round(time.monotonic() - started, 1),
            "missing": missing,
        },
        notes=notes | {"refresh": plan["refresh"]},
    )
    assemble(out, manifest, asked.suite.licence)


def _task(asked: Refresh) -> tuple[Task, JudgeEndpoint | None]:
    m = asked.suite.manifest
    task = Task.of_suite(m.task)
    if task.fingerprint != m.task["fingerprint"]:
        raise SvebError(
            f"task {task.name!r} has changed since {m.name} was made (fingerprint now {task.fingerprint[:12]}, in the "
            f"suite {m.task['fingerprint'][:12]}), so grades could differ: restore the task's old version"
        )
    judge = judge_for(task, asked.judge_url, asked.judge_model, asked.judge_format)
    if judge is not None and judge.identity != m.task.get("judge"):
        raise SvebError(
            f"{m.name} was graded by the judge {m.task.get('judge')}, but this judge is {judge.identity}: pass "
            "the same judge with --judge-url and --judge-model"
        )
    return task, judge


def _check_policy(m: Manifest, policy: Policy) -> None:
    found = policy.fingerprint
    other = [
        f"{key}: {m.policy[key]} in the suite, {found[key]} here"
        for key in ("sha256", "dtype")
        if None not in (m.policy.get(key), found[key]) and m.policy[key] != found[key]
    ]
    if other:
        raise SvebError(
            f"the policy is not the one that {m.name} was made with, so the true values would be different: restore "
            f"that policy. It differs in {', '.join(other)}"
        )


def _seed(asked: Refresh) -> int:
    """The seed that was asked for; else the seed of the refresh in `out`, finished or not; else a random one.

    Raises SvebError if `out` holds anything but a refresh of this suite with these settings.
    """
    out = asked.out
    held: dict[str, Any]
    wanted: int | None
    if (out / "manifest.json").exists():
        m = Manifest.read(out)
        held = {"refresh": m.notes.get("refresh")} | {key: m.counts.get(key) for key in ("continuations", "audit")}
        wanted = asked.continuations or asked.suite.manifest.counts["continuations"]
    elif (out / "work" / "plan.json").exists():
        held = read_json(out / "work" / "plan.json", "an unfinished generation's plan")
        wanted = asked.continuations
    elif out.exists() and any(out.iterdir()):
        raise SvebError(f"{out} holds files but no refresh: choose an empty folder with --out")
    else:
        m = asked.suite.manifest
        if asked.seed is not None and asked.seed in (m.seed, m.notes.get("refresh", {}).get("seed")):
            raise SvebError(
                f"--seed {asked.seed} is the seed of the old truth: choose another seed, or leave --seed out"
            )
        return secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed
    begun = held.get("refresh") or {}
    seed = begun.get("seed") if asked.seed is None else asked.seed
    same = (held["continuations"], held.get("audit")) == (wanted, _audit(asked))
    if not isinstance(seed, int) or {"refresh": begun} != _origin(asked, seed) or not same:
        raise SvebError(
            f"{out} holds another suite, or a refresh with other settings: choose an empty folder with --out"
        )
    return seed


def _origin(asked: Refresh, seed: int) -> dict[str, Any]:
    of = {"version": asked.suite.manifest.version, "checksum": asked.suite.checksum}
    return {"refresh": {"of": of, "seed": seed}}


def _complete(out: Path) -> bool:
    """Whether `out` holds a finished suite, with no grade to try again."""
    if not (out / "manifest.json").exists():
        return False
    return not (_ungraded(Manifest.read(out)) and (out / "work").is_dir())


def _ungraded(manifest: Manifest) -> bool:
    """Whether grades of the new continuations are missing."""
    return any(stage in manifest.generation.get("missing", {}) for stage in _NEW)


def _audit(asked: Refresh) -> int:
    return asked.suite.manifest.counts.get("audit", 0) if asked.audit is None else asked.audit
