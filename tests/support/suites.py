"""Suites on disk whose values are known, and predictions for them. All are written by `write`.

of_rows   states from plain lists, for figures worked out by hand
tiny      all that estimators may see, and secrets that can be recognised wherever they turn up
walks     values that walk from state to state; the truth and the draws are sampled from them
traced    values and answers that can be read: one of them falls at a known step
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.files import sha256
from sveb.runs.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.score.score import score
from sveb.suite.manifest import Manifest
from sveb.suite.suite import EMBEDDED_SUITE, Suite
from sveb.suite.tables import table_of, write_table

Row = dict[str, Any]
Returns = Sequence[float | None]


def write(
    folder: Path, name: str, *, task: str = "beads", policy: str = "walker", source: str = "", **tables: Iterable[Row]
) -> Suite:
    """A suite of these tables, with their checksums in its manifest."""
    for table, rows in tables.items():
        write_table(folder / f"{table}.parquet", table_of(table, list(rows)))
    Manifest(
        name=name, version="1.0.0", protocol="standard", task={"name": task}, sampling={}, counts={}, seed=0,
        policy={"name": policy, "source": source} if source else {"name": policy},
        files={f"{table}.parquet": {"sha256": sha256(folder / f"{table}.parquet")} for table in tables},
    ).write(folder)  # fmt: skip
    return Suite.open(folder)


def as_embedded(suite: Path, folder: Path) -> Suite:
    """A copy of a suite in `folder`/suites under the embedded suite's name: from `folder` it is found first."""
    out = shutil.copytree(suite, folder / "suites" / EMBEDDED_SUITE)
    replace(Manifest.read(out), name=EMBEDDED_SUITE).write(out)
    return Suite.open(out)


def state(
    state_id: str, problem: str, rollout: str | None, kind: str, step: int, parent: str | None = None, **more: Any
) -> Row:
    """A row of states.parquet: nine tokens a step, of which none is stored."""
    return {
        "state_id": state_id, "problem_id": problem, "rollout_id": rollout, "kind": kind, "step_index": step,
        "parent_state_id": parent, "n_tokens": 9 * step, "token_ids": [1] * step, "text": "", **more,
    }  # fmt: skip


def group(problem: str, returns: Iterable[float | None], role: str = "context") -> list[Row]:
    """Rollouts of a problem with these returns, without texts."""
    return [
        {"rollout_id": f"{problem}/c{i}", "problem_id": problem, "role": role, "return_": r}
        for i, r in enumerate(returns)
    ]


def predict(path: Path, suite: Suite, ids: Iterable[str], values: Iterable[float], **record: Any) -> Path:
    """A predictions file of these values, as a run would leave it. `record` holds what its account says else."""
    name, manifest = record.get("name", "guess"), suite.manifest
    info = RunInfo(
        SuiteRef(
            suite.name, manifest.version, record.get("checksum", suite.checksum), manifest.task["name"],
            manifest.policy["name"], "standard",
        ),
        EstimatorRef(name, name, record.get("params", {}), record.get("description", ""), 0),
        list(record.get("budget", ())), Cost(0.5, 1.5, 0.0021, 12.0, 34.0, 312_000_000), "0.1.0",
    )  # fmt: skip
    Predictions(info, list(ids), np.array(list(values), dtype=np.float64)).write(path)
    return path


def write_run(
    folder: Path, suite: Suite, values: Mapping[str, float], *, allow_missing: bool = False, **record: Any
) -> Path:
    """A run folder of these values by state id, scored for real."""
    record = {"name": folder.name, "description": "Made for the tests.", "budget": ("group",)} | record
    path = predict(folder / "predictions.parquet", suite, values, values.values(), **record)
    score(suite, path, allow_missing=allow_missing).write(folder / "results.json")
    return folder


# --- of_rows

StateRow = tuple[str, str, str | None, str, int, str | None, list[float | None]]


def of_rows(
    folder: Path,
    states: Sequence[StateRow],
    context: Mapping[str, Returns],
    train: Returns = (0.0, 1.0, 1.0, 1.0),
    tier: str | None = None,
    draws: Mapping[str, Returns] | None = None,
) -> Suite:
    """A suite of states (id, problem, rollout, kind, step, parent, returns)."""
    problems = dict.fromkeys(row[1] for row in states)
    probes = dict.fromkeys((row[2], row[1]) for row in states if row[2] is not None)
    return write(
        folder, "tiny", task="t", policy="p",
        states=[state(*row[:6], n_tokens=1, token_ids=[1]) for row in states],
        truth=[{"state_id": row[0], "return_": row[6]} for row in reversed(states)],
        rollouts=[
            *(row for problem, returns in context.items() for row in group(problem, returns)),
            *group("train", train, "train"),
            *({"rollout_id": r, "problem_id": p, "role": "probe", "step_ends": list(range(1, 11))} for r, p in probes),
        ],
        problems=[{"problem_id": problem, "tier": tier} for problem in problems],
        draws=[
            {"state_id": i, "draw_index": j, "return_": r}
            for i, returns in (draws or {}).items()
            for j, r in enumerate(returns)
        ],
    )  # fmt: skip


# --- tiny

RETURNS = [1.0, 0.0, 1.0, None, 1.0]  # of every context group: the fourth could not be graded
DRAWS = [1.0, 0.0, None, 0.575]
SECRET_TRUTH = 0.8311734
SECRET_RETURN = 0.2718291
SECRET_FUTURE = "the-rest-of-a-probe"


def _rollout(problem: str, role: str, number: int, return_: float | None, text: str) -> Row:
    generator = np.random.default_rng(list(f"{problem}/{role}{number}".encode()))
    return {
        "rollout_id": f"{problem}/{role}{number}", "problem_id": problem, "role": role, "return_": return_,
        "token_ids": [int(token) for token in generator.integers(3, 60, 12)], "text": text, "finish_reason": "stop",
        "step_ends": [4, 8, 12], "seed": number,
    }  # fmt: skip


def tiny(folder: Path, n_test: int = 3, n_train: int = 4) -> Suite:
    """`n_test` problems with five states each (a root, two of each of two probes), and `n_train` training problems."""
    problems, rollouts, states = [], [], []
    for split, count in (("test", n_test), ("train", n_train)):
        for i in range(count):
            problem = f"{split}-{i:03d}"
            problems.append(
                {
                    "problem_id": problem, "split": split, "question": f"Question {i}?", "answer": f"answer {i}",
                    "prompt_token_ids": [1, 5 + i % 20, 7], "tier": None, "extras": "{}",
                }
            )  # fmt: skip
            if split == "train":
                rollouts += [_rollout(problem, "train", g, float(g % 2), f"train {g}") for g in range(4)]
                continue
            rollouts += [_rollout(problem, "context", g, r, f"context {g}") for g, r in enumerate(RETURNS)]
            probes = [_rollout(problem, "probe", g, SECRET_RETURN, SECRET_FUTURE) for g in range(2)]
            rollouts += probes
            states.append(state(f"{problem}/root", problem, None, "root", 0))
            for probe in probes:
                name, tokens = probe["rollout_id"], probe["token_ids"]
                states += [
                    state(f"{name}/s{step}", problem, name, "path", step, n_tokens=4 * step,
                          token_ids=tokens[: 4 * step], text=f"first {step} steps")
                    for step in (1, 2)
                ]  # fmt: skip
    ids = [each["state_id"] for each in states]
    truth = {
        "return_": [SECRET_TRUTH] * 4, "n_tokens": [5] * 4, "finish_reason": ["stop"] * 4, "value_mean": SECRET_TRUTH,
        "value_se": 0.0, "n_continuations": 4, "n_missing": 0,
    }  # fmt: skip
    return write(
        folder, "tiny", task="ledger", policy="nano", source="package:nano-early",
        problems=problems, rollouts=rollouts, states=states, truth=[{"state_id": i, **truth} for i in ids],
        draws=[
            {"state_id": i, "draw_index": d, "return_": r, "n_tokens": 10 * (d + 1), "text": "x"}
            for i in ids
            for d, r in enumerate(DRAWS)
        ],
    )  # fmt: skip


# --- walks

STEPS, GROUP = 5, 16
Draw = Callable[[np.random.Generator, float, int], list[float]]


def coins(rng: np.random.Generator, value: float, k: int) -> list[float]:
    """Returns of 0 or 1."""
    return (rng.random(k) < value).astype(float).tolist()


def walks(
    folder: Path, problems: int = 30, k: int = 16, question: str = "", text: str = "", draw: Draw = coins,
    paths: bool = True, seed: int = 0,
) -> tuple[Suite, dict[str, float]]:  # fmt: skip
    """A suite whose values walk from state to state, and the true value of each state by id.

    `question` and `text` follow each problem's and each prefix's own; `draw` makes the truth's returns; without `paths`
    there are roots alone.
    """
    rng = np.random.default_rng(seed)
    states, rollouts, truth, draws, value = [], [], [], [], {}

    def add(state_id: str, p: str, rollout: str | None, kind: str, step: int, parent: str | None, x: float) -> None:
        value[state_id] = v = float(1 / (1 + np.exp(-x)))
        prefix = "".join(f"Step {i + 1}: {7 * i + step} beads in the jar.\n" for i in range(step)) + text
        states.append(state(state_id, p, rollout, kind, step, parent, text=prefix))
        truth.append({"state_id": state_id, "return_": draw(rng, v, k)})
        draws.extend({"state_id": state_id, "draw_index": i, "return_": float(rng.random() < v)} for i in range(4))

    names = [f"p{i:03d}" for i in range(problems)]
    for p in names:
        start = rng.normal(0, 1.2)
        add(f"{p}/root", p, None, "root", 0, None, start)
        for r in (f"{p}/r{i}" for i in range(2 if paths else 0)):
            x = start
            for t in range(1, STEPS + 1):
                if t == 2 and r.endswith("r0"):
                    for a in range(3):
                        add(f"{r}/a{a}", p, r, "sibling", t, f"{r}/s1", x + rng.normal(0, 1.5))
                x += rng.normal(0, 1.1)
                add(f"{r}/s{t}", p, r, "path", t, None, x)
            rollouts.append({"rollout_id": r, "problem_id": p, "role": "probe", "step_ends": list(range(1, STEPS + 2))})
        rollouts += group(p, (rng.random(GROUP) < value[f"{p}/root"]).astype(float))
    suite = write(
        folder, "walks", states=states, truth=truth, draws=draws,
        rollouts=[*rollouts, *group("train", (0, 1, 0, 1), "train")],
        problems=[
            {"problem_id": p, "split": "test", "tier": "odd" if i % 2 else "even",
             "question": f"Ada has {i} beads and buys {i % 7} more. How many?{question}"}
            for i, p in enumerate(names)
        ],
    )  # fmt: skip
    return suite, value


def write_runs(folder: Path, suite: Suite, value: Mapping[str, float]) -> Path:
    """Three runs side by side: the group mean, a noisy guess and a sharp one. Returns the folder of the guess."""
    rng = np.random.default_rng(1)
    means = group_means(suite)
    write_run(folder / "group_mean", suite, means)
    write_run(folder / "sharp", suite, value)
    noisy = {s: float(np.clip(0.7 * v + 0.3 * means[s] + rng.normal(0, 0.08), 0, 1)) for s, v in value.items()}
    return write_run(folder / "guess", suite, noisy, params={"width": 0.08})


def group_means(suite: Suite) -> dict[str, float]:
    """The group's mean return at each state."""
    return {i: float(suite.group_means[problem]) for i, problem in suite.states["problem_id"].items()}


# --- traced


def traced(
    folder: Path, problems: int = 6, text: str = "", seed: int = 0, name: str = "traced"
) -> tuple[Suite, dict[str, float]]:
    """The suite and the true value of each state. Answer 0 of problem 0 falls from .9 to .05 at step 3, whose step 2
    has three siblings. `text` follows every text."""
    rng = np.random.default_rng(seed)
    states, rollouts, value = [], [], {}

    def add(v: float, state_id: str, *more: Any, prefix: str = "") -> None:
        value[state_id] = v
        states.append(state(state_id, state_id[:4], *more, text=prefix))

    for p in range(problems):
        at, start = f"p{p:03d}", float(rng.uniform(0.2, 0.8))
        add(start, f"{at}/root", None, "root", 0)
        for r in range(3):
            here, prefix, v = f"{at}/r{r}", "", start
            for t in range(1, STEPS + 1):
                v = float(np.clip(v + rng.normal(0, 0.12), 0.15, 0.9))
                if (p, r) == (0, 0):
                    v = [0.85, 0.9, 0.05, 0.05, 0.1][t - 1]
                prefix += f"{7 * t}*{p + 2}={7 * t * (p + 2) + (t == 3)}{text}\n"
                add(v, f"{here}/s{t}", here, "path", t, prefix=prefix)
                for a, other in enumerate((0.95, 0.5, 0.1) if (r, t) == (0, 2) else ()):
                    one = f"{prefix}21+{a}={21 + a}{text}\n"
                    add(other, f"{here}/s2/a{a}", here, "sibling", 3, f"{here}/s2", prefix=one)
            rollouts.append(
                {"rollout_id": here, "problem_id": at, "role": "probe", "return_": float(rng.random() < v),
                 "finish_reason": "stop", "text": f"{prefix}#### {p}{text}", "step_ends": list(range(1, STEPS + 2))}
            )  # fmt: skip
        rollouts += group(at, (float(i < GROUP * start) for i in range(GROUP)))
    suite = write(
        folder, name, states=states, draws=[], rollouts=[*rollouts, *group("train", (0, 1, 0, 1), "train")],
        truth=[{"state_id": s, "return_": [float(i < round(32 * v)) for i in range(32)]} for s, v in value.items()],
        problems=[{"problem_id": f"p{p:03d}", "split": "test", "tier": "light", "answer": f"{p}{text}",
                   "question": f"Ada has {p + 2} bags of 21 beads. How many beads?{text}"} for p in range(problems)],
    )  # fmt: skip
    return suite, value
