"""A fresh truth on the same states: the cure for a truth that has leaked or that entries were fitted to.

The new suite has the old one's problems, rollouts, states and draws, byte for byte, and continuations of its own, drawn
with the same policy from another seed. That seed is random unless it is given: nobody can draw the next truth before.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors, read_json
from sveb.common.seeds import SPACE, seeds
from sveb.generate.continuation_stage import CHUNK
from sveb.generate.generation import StoppedError, chunks
from sveb.generate.package import file_entries, truth_rows, write_papers
from sveb.generate.paper_states import PAPER
from sveb.generate.regrade import regrade
from sveb.generate.run_stage import Reporter, load_stage, run_stage
from sveb.generate.split import licence
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.engines import ENGINES, load_policy
from sveb.policies.policy import Policy, Sampling
from sveb.suite.manifest import Manifest
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.suite.tables import SCHEMAS, read_table, write_rows
from sveb.suite.truth_statistics import STATISTICS_COLUMNS, suite_statistics
from sveb.tasks.graders.judge_grader import Judge, judge_for
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

_SAME = ("problems", "rollouts", "states", "draws")
_SEEDS = 2**63


@dataclass(frozen=True)
class Refresh:
    """What the caller asks for. None: as many continuations a state as before, a random seed, the suite's engine."""

    suite: Suite
    out: Path
    continuations: int | None = None
    seed: int | None = None
    engine: str | None = None
    server_url: str | None = None
    judge_url: str | None = None
    judge_model: str | None = None


def refresh(asked: Refresh, reporter: Reporter) -> Path:
    """Draws (or goes on drawing) the new truth, and writes the suite of the next version; returns its folder.

    Raises SvebError, before anything is drawn, where policy, task or judge are not those of the suite, where it was
    split, and where the folder holds something else; StoppedError where the same call would continue.
    """
    started = time.monotonic()
    m, out = asked.suite.manifest, asked.out
    if m.private:
        raise SvebError(f"{asked.suite.path} is the public part of a suite: refresh the whole one, and split that anew")
    version = next_version(m.version)
    task, judge = _task(asked)
    seed = _seed(asked)
    if _complete(out):
        return out
    engine = asked.engine or (m.policy["engine"] if m.policy["engine"] in ENGINES else None)
    reporter.stage(load_stage(engine), 0, 0)
    prefixes = _Prefixes(asked.suite, asked.continuations, seed)
    policy = load_policy(
        m.policy["source"], engine, max_model_len=prefixes.longest, revision=m.policy["revision"],
        server_url=asked.server_url,
    )  # fmt: skip
    try:
        _check_policy(m, policy)
        grading = Grading(task, judge)
        plan = _origin(asked, seed) | {"policy": policy.fingerprint, "continuations": asked.continuations}
        with disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
        with grading, Store(out, plan) as store:
            try:
                why = _draw(prefixes, store, policy, grading, reporter)
                reporter.stage("write suite", 0, 0)
                _write(asked, version, plan, prefixes, store, why, started)
            except SvebError as error:
                raise StoppedError(str(error)) from error
    finally:
        policy.close()
    if not Manifest.read(out).generation.get("missing", {}).get("truth"):
        shutil.rmtree(out / "work", ignore_errors=True)
    return out


def next_version(version: str) -> str:
    """The next minor version: inputs and predictions keep their form, scores do not compare. `1.0.0` gives `1.1.0`."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        raise SvebError(
            f"the suite's version is {version!r}: expected one like 1.0.0, to which a next one can be found"
        )
    return f"{found[1]}.{int(found[2]) + 1}.0"


class _Prefixes:
    """The states as units of work. A state's seeds follow those of the states before it, none twice."""

    def __init__(self, suite: Suite, continuations: int | None, seed: int) -> None:
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
        self._first = np.concatenate([[0], np.cumsum(counts)])
        if self._first[-1] > SPACE:
            raise SvebError(f"{self._first[-1]:,} continuations exceed the 2^32 seeds of one suite: ask for fewer")
        self._seed = seed
        self._paper = m.protocol == PAPER
        budgets = 2 if self._paper else 1
        self.longest = max(map(len, self._prompts.values())) + budgets * self.sampling.max_new_tokens

    def units(self) -> Iterator[Unit]:
        """All units, made one by one."""
        columns = (self._states[name] for name in ("state_id", "problem_id", "token_ids"))
        for place, (name, problem, tokens) in enumerate(zip(*columns, strict=True)):
            response, problem_id = tokens.as_py(), problem.as_py()
            own = seeds(self._seed, np.arange(self._first[place], self._first[place + 1]))
            budget = self.sampling.max_new_tokens - (0 if self._paper else len(response))
            for chunk, start, stop in chunks(len(own), CHUNK):
                yield Unit(
                    name.as_py(), chunk, self.problems[problem_id], self._prompts[problem_id], response,
                    own[start:stop], budget,
                )  # fmt: skip


def _before(suite: Suite) -> dict[str, int]:
    """How many continuations each state has had, by state_id."""
    table = suite.table("truth", ["state_id", "n_continuations", "n_missing"]).to_pydict()
    graded, missing = np.array(table["n_continuations"]), np.array(table["n_missing"])
    return dict(zip(table["state_id"], (graded + missing).tolist(), strict=True))


def _draw(prefixes: _Prefixes, store: Store, policy: Policy, grading: Grading, reporter: Reporter) -> Counter[str]:
    """Brings all continuations into the store; returns why those that stay ungraded do, with counts."""
    run_stage("truth", prefixes.units, store, policy, prefixes.sampling, reporter, grading=grading, keep_tokens=False)
    return regrade("truth", store, policy.codec, grading, prefixes.problems, False, reporter)


def _write(
    asked: Refresh, version: str, plan: dict[str, Any], prefixes: _Prefixes, store: Store, why: Counter[str],
    started: float,
) -> None:  # fmt: skip
    out, m = asked.out, asked.suite.manifest
    # A finished suite whose missing grades are tried again is none while its truth changes.
    (out / "manifest.json").unlink(missing_ok=True)
    with disk_errors(out):
        for name in _SAME:
            shutil.copyfile(asked.suite.path / f"{name}.parquet", out / f"{name}.parquet")
    rows = {name: m.files[f"{name}.parquet"]["rows"] for name in _SAME}
    rows["truth"] = write_rows(out / "truth.parquet", "truth", truth_rows(prefixes.places, store))
    ungraded = sum(store.ungraded(part) for part in store.parts("truth"))
    missing = {stage: found for stage, found in m.generation.get("missing", {}).items() if stage != "truth"}
    if ungraded:
        missing["truth"] = {"count": ungraded, "reasons": dict(sorted(why.items()))}
    notes, counts = dict(m.notes), dict(m.counts)
    if asked.continuations is not None:
        notes.pop("truth", None)  # how continuations were shared out, where not evenly
        counts["continuations"] = asked.continuations
    manifest = replace(
        m,
        version=version,
        policy={"name": m.policy["name"], **plan["policy"]},
        counts=counts,
        statistics=suite_statistics(
            *(read_table(out / f"{name}.parquet", columns) for name, columns in STATISTICS_COLUMNS.items())
        ),
        generation=m.generation
        | {
            "tokens_sampled": sum(sum(row["n_tokens"]) for row in store.read("truth", ["n_tokens"])),
            "last_run_wall_s": round(time.monotonic() - started, 1),
            "missing": missing,
        },
        files=file_entries(out, {name: rows[name] for name in SCHEMAS}),
        notes=notes | {"refresh": plan["refresh"]},
    )
    write_papers(out, manifest, licence(manifest))


def _task(asked: Refresh) -> tuple[Task, Judge | None]:
    m = asked.suite.manifest
    task = Task.load(m.task["name"])
    if task.fingerprint != m.task["fingerprint"]:
        raise SvebError(
            f"task {task.name!r} is not the one that {m.name} was made with (fingerprint {task.fingerprint[:12]}, the "
            f"suite has {m.task['fingerprint'][:12]}): answers would be graded otherwise; restore that version of it"
        )
    judge = judge_for(task, asked.judge_url, asked.judge_model)
    if judge is not None and judge.identity != m.task.get("judge"):
        raise SvebError(f"{m.name} was graded by the judge {m.task.get('judge')}, this one is {judge.identity}")
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
            f"the policy is not the one that {m.name} was made with, so its truth would be another; it differs in "
            + ", ".join(other)
        )


def _seed(asked: Refresh) -> int:
    """The seed asked for, else that of the refresh which `out` holds, finished or not, else a random one.

    Raises SvebError where `out` holds anything but a refresh of this suite with these settings.
    """
    out = asked.out
    held: dict[str, Any]
    wanted: int | None
    if (out / "manifest.json").exists():
        m = Manifest.read(out)
        held = {"refresh": m.notes.get("refresh"), "continuations": m.counts.get("continuations")}
        wanted = asked.continuations or asked.suite.manifest.counts["continuations"]
    elif (out / "work" / "plan.json").exists():
        held = read_json(out / "work" / "plan.json", "an unfinished generation's plan")
        wanted = asked.continuations
    elif out.exists() and any(out.iterdir()):
        raise SvebError(f"{out} holds other files: choose an empty folder with --out")
    else:
        m = asked.suite.manifest
        if asked.seed is not None and asked.seed in (m.seed, m.notes.get("refresh", {}).get("seed")):
            raise SvebError(f"--seed {asked.seed} has drawn the old truth: choose another, or leave it out")
        return secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed
    begun = held.get("refresh") or {}
    seed = begun.get("seed") if asked.seed is None else asked.seed
    if not isinstance(seed, int) or {"refresh": begun} != _origin(asked, seed) or held["continuations"] != wanted:
        raise SvebError(
            f"{out} holds another suite, or a refresh with other settings: choose an empty folder with --out"
        )
    return seed


def _origin(asked: Refresh, seed: int) -> dict[str, Any]:
    of = {"version": asked.suite.manifest.version, "checksum": asked.suite.checksum}
    return {"refresh": {"of": of, "seed": seed}}


def _complete(out: Path) -> bool:
    """Whether `out` is finished, with nothing left to grade."""
    if not (out / "manifest.json").exists():
        return False
    return not (Manifest.read(out).generation.get("missing", {}).get("truth") and (out / "work").is_dir())
