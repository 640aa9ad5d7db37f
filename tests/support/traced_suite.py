"""A small suite with texts, true values that walk and fall, siblings; and entries scored on it for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.files import sha256
from sveb.entries.submit import make_entry
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite
from sveb.suite.tables import table_of, write_table
from tests.support import scored_runs, synthetic

NAME, K, GROUP, ANSWERS, STEPS = "traced", 32, 16, 3, 5
ESTIMATORS = {"sharp": 0.03, "fair": 0.12, "blunt": 0.3}


def write_suite(folder: Path, problems: int = 6, seed: int = 0, text: str = "") -> tuple[Suite, dict[str, float]]:
    """The suite and the true value of each state. Answer 0 of problem 0 falls from .9 to .05 at step 3, whose step 2
    has three siblings. `text` follows every text."""
    rng = np.random.default_rng(seed)
    states: list[dict[str, Any]] = []
    rollouts: list[dict[str, Any]] = []
    value: dict[str, float] = {}

    def state(
        state_id: str, rollout: str | None, kind: str, step: int, prefix: str, parent: str | None, v: float
    ) -> None:
        value[state_id] = v
        states.append(
            {"state_id": state_id, "problem_id": state_id[:4], "rollout_id": rollout, "kind": kind, "step_index": step,
             "n_tokens": 9 * step, "token_ids": [1] * step, "text": prefix, "parent_state_id": parent}
        )  # fmt: skip

    for p in range(problems):
        name, start = f"p{p:03d}", float(rng.uniform(0.2, 0.8))
        state(f"{name}/root", None, "root", 0, "", None, start)
        for r in range(ANSWERS):
            here, prefix, v = f"{name}/r{r}", "", start
            for t in range(1, STEPS + 1):
                v = float(np.clip(v + rng.normal(0, 0.12), 0.15, 0.9))
                if (p, r) == (0, 0):
                    v = [0.85, 0.9, 0.05, 0.05, 0.1][t - 1]
                prefix += f"{7 * t}*{p + 2}={7 * t * (p + 2) + (t == 3)}{text}\n"
                state(f"{here}/s{t}", here, "path", t, prefix, None, v)
                if r == 0 and t == 2:
                    for a, other in enumerate((0.95, 0.5, 0.1)):
                        state(
                            f"{here}/s2/a{a}",
                            here,
                            "sibling",
                            3,
                            f"{prefix}21+{a}={21 + a}{text}\n",
                            f"{here}/s2",
                            other,
                        )
            won = float(rng.random() < v)
            rollouts.append({"rollout_id": here, "problem_id": name, "role": "probe", "return_": won,
                             "finish_reason": "stop", "text": f"{prefix}#### {p}{text}",
                             "step_ends": list(range(1, STEPS + 2))})  # fmt: skip
        rollouts += [{"rollout_id": f"{name}/c{i}", "problem_id": name, "role": "context",
                      "return_": float(i < GROUP * start)} for i in range(GROUP)]  # fmt: skip
    rollouts += [{"rollout_id": f"t{i}", "problem_id": "train", "role": "train", "return_": i % 2} for i in range(4)]
    tables = {
        "states": states,
        "rollouts": rollouts,
        "draws": [],
        "truth": [{"state_id": s, "return_": (np.arange(K) < round(K * v)).astype(float).tolist()}
                  for s, v in value.items()],
        "problems": [{"problem_id": f"p{p:03d}", "split": "test", "tier": "light", "answer": f"{p}{text}",
                      "question": f"Ada has {p + 2} bags of 21 beads. How many beads?{text}"} for p in range(problems)],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        write_table(folder / f"{table}.parquet", table_of(table, rows))
    files = {f"{table}.parquet": {"sha256": sha256(folder / f"{table}.parquet")} for table in tables}
    Manifest(
        name=NAME, version="1.0.0", protocol="standard", task={"name": "beads"}, policy={"name": "walker"},
        sampling={}, counts={}, seed=seed, files=files,
    ).write(folder)  # fmt: skip
    return Suite.open(folder), value


def write_entries(
    work: Path, problems: int = 6, estimators: dict[str, float] | None = None, title: str = "", text: str = ""
) -> Path:
    """`work`/suites/traced and entries whose values are the truth with normal errors of these sizes.

    Returns the submissions folder; `title` follows each title.
    """
    suite, value = write_suite(work / "suites" / NAME, problems, text=text)
    rng = np.random.default_rng(1)
    group = suite.states["problem_id"].map(suite.group_means)
    runs = {"group_mean": {s: float(group[s]) for s in value}}
    for name, error in (estimators or ESTIMATORS).items():
        runs[name] = {s: float(v + rng.normal(0, error)) for s, v in value.items()}
    for name, values in runs.items():
        budget = ("extra_rollouts",) if name == "fair" else ("group",)
        run = scored_runs.write_run(work / "runs" / name, suite, values, budget=budget)
        make_entry(run, work / "submissions", date=synthetic.DATE, name=name, title=name + title, team="A team")
    return work / "submissions"
