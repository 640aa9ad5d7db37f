"""A small suite with text on disk, and real runs on it: predictions scored by the scorer itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sveb.common.files import sha256
from sveb.runs.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.score.score import score
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite
from sveb.suite.tables import table_of, write_table

ROLLOUTS, STEPS, GROUP = 2, 5, 16


Draw = Callable[[np.random.Generator, float, int], list[float]]


def coins(rng: np.random.Generator, value: float, k: int) -> list[float]:
    """Returns of 0 or 1."""
    return (rng.random(k) < value).astype(float).tolist()


def write_suite(
    folder: Path,
    problems: int = 30,
    k: int = 16,
    question: str = "",
    text: str = "",
    seed: int = 0,
    draw: Draw = coins,
    paths: bool = True,
) -> tuple[Suite, dict[str, float]]:
    """A suite whose values walk from state to state, and the true value of each state by id.

    `question` and `text` follow each problem's and each prefix's own; `draw` makes the truth's returns; without `paths`
    there are roots alone.
    """
    rng = np.random.default_rng(seed)
    rows, rollouts, truth, draws, value = [], [], [], [], {}

    def state(state_id: str, p: str, rollout: str | None, kind: str, step: int, parent: str | None, x: float) -> None:
        value[state_id] = 1 / (1 + np.exp(-x))
        prefix = "".join(f"Step {i + 1}: {7 * i + step} beads in the jar.\n" for i in range(step)) + text
        rows.append(
            {"state_id": state_id, "problem_id": p, "rollout_id": rollout, "kind": kind, "step_index": step,
             "n_tokens": 9 * step, "token_ids": [1] * step, "text": prefix, "parent_state_id": parent}
        )  # fmt: skip
        truth.append({"state_id": state_id, "return_": draw(rng, value[state_id], k)})
        draws.extend({"state_id": state_id, "draw_index": i, "return_": float(rng.random() < value[state_id])}
                     for i in range(4))  # fmt: skip

    for p in (f"p{i:03d}" for i in range(problems)):
        start = rng.normal(0, 1.2)
        state(f"{p}/root", p, None, "root", 0, None, start)
        for r in range(ROLLOUTS if paths else 0):
            x = start
            for t in range(1, STEPS + 1):
                if t == 2 and r == 0:
                    for a in range(3):
                        state(f"{p}/r{r}/a{a}", p, f"{p}/r{r}", "sibling", t, f"{p}/r0/s1", x + rng.normal(0, 1.5))
                x += rng.normal(0, 1.1)
                state(f"{p}/r{r}/s{t}", p, f"{p}/r{r}", "path", t, None, x)
            rollouts.append({"rollout_id": f"{p}/r{r}", "problem_id": p, "role": "probe",
                             "step_ends": list(range(1, STEPS + 2))})  # fmt: skip
        wins = rng.random(GROUP) < value[f"{p}/root"]
        rollouts += [{"rollout_id": f"{p}/c{i}", "problem_id": p, "role": "context", "return_": float(win)}
                     for i, win in enumerate(wins)]  # fmt: skip
    rollouts += [{"rollout_id": f"t{i}", "problem_id": "train", "role": "train", "return_": i % 2} for i in range(4)]
    tables = {
        "states": rows,
        "truth": truth,
        "draws": draws,
        "rollouts": rollouts,
        "problems": [
            {"problem_id": f"p{i:03d}", "split": "test", "tier": "odd" if i % 2 else "even",
             "question": f"Ada has {i} beads and buys {i % 7} more. How many?{question}"}
            for i in range(problems)
        ],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tables.items():
        write_table(folder / f"{name}.parquet", table_of(name, content))
    files = {f"{name}.parquet": {"sha256": sha256(folder / f"{name}.parquet")} for name in tables}
    Manifest(
        name="walks", version="1.0.0", protocol="standard", task={"name": "beads"}, policy={"name": "walker"},
        sampling={}, counts={}, seed=seed, files=files,
    ).write(folder)  # fmt: skip
    return Suite.open(folder), value


def write_run(
    folder: Path,
    suite: Suite,
    values: dict[str, float],
    *,
    spec: str | None = None,
    description: str = "Made for the tests.",
    params: dict[str, object] | None = None,
    budget: tuple[str, ...] = ("group",),
    allow_missing: bool = False,
) -> Path:
    """A run folder of these values, by state id, scored for real."""
    name = spec or folder.name
    info = RunInfo(
        suite=SuiteRef(suite.name, suite.manifest.version, suite.checksum, "beads", "walker", "standard"),
        estimator=EstimatorRef(name, name, params or {}, description, 0),
        budget=list(budget),
        cost=Cost(0.5, 1.5, 0.0021, 12.0, 34.0, 312_000_000),
        sveb_version="0.1.0",
    )
    path = folder / "predictions.parquet"
    Predictions(info, list(values), np.array(list(values.values()), dtype=np.float64)).write(path)
    score(suite, path, allow_missing=allow_missing).write(folder / "results.json")
    return folder


def write_runs(folder: Path, suite: Suite, value: dict[str, float], seed: int = 1) -> Path:
    """Three runs side by side: the group mean, a noisy guess and a sharp one. Returns the folder of the guess."""
    rng = np.random.default_rng(seed)
    problem = suite.states["problem_id"]
    group = {state: float(suite.group_means[problem[state]]) for state in value}
    write_run(folder / "group_mean", suite, group)
    write_run(folder / "sharp", suite, value)
    noisy = {s: float(np.clip(0.7 * v + 0.3 * group[s] + rng.normal(0, 0.08), 0, 1)) for s, v in value.items()}
    return write_run(folder / "guess", suite, noisy, params={"width": 0.08})
