"""A small suite on disk, with values that can be recognised wherever they turn up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sveb.harness.run_estimator import run
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite
from sveb.suite.tables import table_of, write_table

RETURNS = [1.0, 0.0, 1.0, None, 1.0]  # of every context group: the fourth could not be graded
DRAWS = [1.0, 0.0, None, 0.575]
SECRET_TRUTH = 0.8311734
SECRET_RETURN = 0.2718291
SECRET_FUTURE = "the-rest-of-a-probe"

BuildSuite = Callable[..., Suite]
WriteEstimator = Callable[..., str]
Values = Callable[..., dict[str, float]]


def _rollout(problem: str, role: str, number: int, return_: float | None, text: str) -> dict[str, object]:
    generator = np.random.default_rng(list(f"{problem}/{role}{number}".encode()))
    tokens = [int(token) for token in generator.integers(3, 60, 12)]
    return {
        "rollout_id": f"{problem}/{role}{number}", "problem_id": problem, "role": role, "token_ids": tokens,
        "text": text, "return_": return_, "finish_reason": "stop", "step_ends": [4, 8, 12], "seed": number,
    }  # fmt: skip


def _states(probe: dict[str, object]) -> list[dict[str, object]]:
    problem, rollout, tokens = probe["problem_id"], probe["rollout_id"], probe["token_ids"]
    return [
        {
            "state_id": f"{rollout}/s{step}", "problem_id": problem, "rollout_id": rollout, "kind": "path",
            "step_index": step, "n_tokens": 4 * step, "token_ids": tokens[: 4 * step], "text": f"first {step} steps",
            "parent_state_id": None,
        }
        for step in (1, 2)
    ]  # fmt: skip


@pytest.fixture
def build_suite(tmp_path: Path) -> BuildSuite:
    """Builds a suite of `n_test` problems with five states each and `n_train` training problems."""

    def build(n_test: int = 3, n_train: int = 4, folder: str = "suite") -> Suite:
        problems, rollouts, states, draws, truth = [], [], [], [], []
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
                states.append(
                    {
                        "state_id": f"{problem}/root", "problem_id": problem, "rollout_id": None, "kind": "root",
                        "step_index": 0, "n_tokens": 0, "token_ids": [], "text": "", "parent_state_id": None,
                    }
                )  # fmt: skip
                states += [state for probe in probes for state in _states(probe)]
        for state in states:
            draws += [
                {"state_id": state["state_id"], "draw_index": d, "return_": r, "n_tokens": 10 * (d + 1), "text": "x"}
                for d, r in enumerate(DRAWS)
            ]
            truth.append(
                {
                    "state_id": state["state_id"], "return_": [SECRET_TRUTH] * 4, "n_tokens": [5] * 4,
                    "finish_reason": ["stop"] * 4, "value_mean": SECRET_TRUTH, "value_se": 0.0, "n_continuations": 4,
                    "n_missing": 0,
                }
            )  # fmt: skip
        out = tmp_path / folder
        tables = {"problems": problems, "rollouts": rollouts, "states": states, "draws": draws, "truth": truth}
        for name, rows in tables.items():
            write_table(out / f"{name}.parquet", table_of(name, rows))
        Manifest(
            name="tiny", version="1.0.0", protocol="standard", task={"name": "ledger"},
            policy={"name": "nano", "source": "package:nano-early"}, sampling={}, counts={}, seed=0,
        ).write(out)  # fmt: skip
        return Suite.open(out)

    return build


@pytest.fixture
def suite(build_suite: BuildSuite) -> Suite:
    return build_suite()


@pytest.fixture
def write_estimator(tmp_path: Path) -> WriteEstimator:
    """Writes an estimator file and gives its path."""

    def write(source: str, name: str = "mine.py") -> str:
        path = tmp_path / "code" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        return str(path)

    return write


@pytest.fixture
def values(tmp_path: Path) -> Values:
    """Runs an estimator and gives its predictions by state id."""

    def evaluate(
        suite: Suite, spec: str, params: dict[str, object] | None = None, **options: object
    ) -> dict[str, float]:
        from sveb.runs.predictions import Predictions

        path = run(suite, spec, params or {}, tmp_path / "out", **options)
        predictions = Predictions.read(path)
        return dict(zip(predictions.state_ids, predictions.values.tolist(), strict=True))

    return evaluate
