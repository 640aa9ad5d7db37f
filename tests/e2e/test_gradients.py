"""The bench of policy gradients: its arithmetic against plain loops, and a run that is killed and continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress

from bench.gradient_figures import LAMBDAS, Arm, Figures, arms_of, kendall
from bench.gradients import (
    COUNTS,
    ESTIMATORS,
    Plan,
    carry_out,
    finished_problems,
    names_of_problems,
    probes_of,
    suite_of,
)
from bench.score_vectors import Probe, ScoreVectors, advantages, products
from sveb.policies.engines import load_policy

SMALL = {**COUNTS, "train_problems": 2, "train_group": 2, "group": 4, "probes": 2, "continuations": 4, "draws": 4}
PROMPT, RESPONSES = [5, 9, 12, 30], ([7, 8, 20, 21, 22, 0], [9, 9, 31], [40, 41, 42, 43, 0])


def plan_in(folder: Path) -> Plan:
    wanted = {name: ESTIMATORS[name] for name in ("group_mean", "mc-1")}
    return Plan("nano", 3, folder, part=2, references=4, counts=SMALL, estimators=wanted)


@pytest.fixture(scope="module")
def double() -> Any:
    """The embedded policy in double precision."""
    loaded: Any = load_policy("nano", "transformers", workers=1)
    return loaded.model.double()


def logprob(model: Any, prompt: list[int], response: list[int], start: int, end: int) -> torch.Tensor:
    """Of the response's tokens from `start` to `end`, one after another."""
    total = torch.zeros((), dtype=torch.float64)
    for place in range(start, end):
        ids = torch.tensor([[*prompt, *response[:place]]])
        total = total + model(ids).logits[0, -1].log_softmax(-1)[response[place]]
    return total


def gradient(model: Any, value: torch.Tensor) -> np.ndarray[Any, Any]:
    parts = torch.autograd.grad(value, list(model.parameters()))
    return np.concatenate([part.numpy().ravel() for part in parts])


def loop_advantages(values: list[float], return_: float, lam: float) -> list[float]:
    deltas = [after - before for before, after in pairwise([*values, return_])]
    return [sum(lam**k * delta for k, delta in enumerate(deltas[i:])) for i in range(len(deltas))]


def test_advantages_are_those_of_the_sum_over_later_steps() -> None:
    values = np.array([[0.5, 0.2, 0.7], [0.4, 0.0, 0.0]])
    for lam in LAMBDAS:
        found = advantages(values, np.array([1.0, 0.0]), lam, np.array([3, 1]))
        assert found[0] == pytest.approx(loop_advantages([0.5, 0.2, 0.7], 1.0, lam), abs=1e-12)
        assert found[1] == pytest.approx([-0.4, 0.0, 0.0], abs=1e-12)


def test_products_and_figures_are_those_of_whole_gradients_in_plain_loops(double: Any) -> None:
    vectors = ScoreVectors(double)
    groups = [(list(RESPONSES), np.array([1.0, 0.0, 0.0])), (list(RESPONSES[:2]), np.array([0.0, 1.0]))]
    references = torch.stack([vectors.of_group(PROMPT, *group) for group in groups])
    for (responses, returns), found in zip(groups, references, strict=True):
        expected = 0.0
        for i, response in enumerate(responses):
            others = np.delete(returns, i).mean()
            expected += (
                (returns[i] - others)
                / len(returns)
                * gradient(double, logprob(double, PROMPT, response, 0, len(response)))
            )
        # transformers norms in single precision, whatever the model's, so that batches differ in the seventh digit
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-5)

    starts = [[0, 2, 4], [0, 1], [0]]
    values = [[0.5, 0.25, 0.75], [0.5, 0.125], [0.5]]
    returns = [1.0, 0.0, 1.0]
    probes = [
        Probe(PROMPT, response, begins, [str(i) for i in begins], return_)
        for response, begins, return_ in zip(RESPONSES, starts, returns, strict=True)
    ]
    kept = products(vectors, probes, references)
    padded = np.zeros((3, 3))
    for row, each in enumerate(values):
        padded[row, : len(each)] = each
    for row, probe in enumerate(probes):
        scores = vectors.of_segments(probe).numpy()
        bounds = list(pairwise([*probe.starts, len(probe.response)]))
        for score, (start, end) in zip(scores, bounds, strict=True):
            alone = gradient(double, logprob(double, PROMPT, list(probe.response), start, end))
            np.testing.assert_allclose(score, alone, rtol=1e-6, atol=1e-5)
        for lam in LAMBDAS:
            a = advantages(padded, kept.returns, lam, (kept.state_ids != "").sum(axis=1))[row]
            weights = loop_advantages(values[row], returns[row], lam)
            whole = sum(weight * score for weight, score in zip(weights, scores, strict=True))
            assert a @ kept.gram[row] @ a == pytest.approx(whole @ whole, rel=1e-9)
            assert a @ kept.reference[row] == pytest.approx(references.numpy() @ whole, rel=1e-9, abs=1e-9)


def test_a_sketch_keeps_inner_products_within_its_error(double: Any) -> None:
    probe = Probe(PROMPT, RESPONSES[0], [0, 2, 4], ["a", "b", "c"], 1.0)
    exact = ScoreVectors(double).of_segments(probe)
    dimensions = 2**14
    sketched = ScoreVectors(double, dimensions).of_segments(probe)
    lengths = exact.norm(dim=1)
    error = (sketched @ sketched.T - exact @ exact.T).abs() / (lengths[:, None] * lengths)
    assert sketched.shape == (3, dimensions)
    assert 0 < float(error.max()) < 5 * (2 / dimensions) ** 0.5


def test_retention_leaves_out_products_of_a_problem_with_itself_and_problems_that_are_not_finished() -> None:
    rng = np.random.default_rng(0)
    reference, mine = rng.normal(size=(4, 6)) + 1, rng.normal(size=(4, 6)) + 1
    second = {lam: rng.random(4) + 1 for lam in LAMBDAS}
    for finished in ([1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]):
        there = np.array(finished)
        kept = dict.fromkeys(LAMBDAS, there[:, None] * (mine @ reference.T))
        arm = Arm({lam: there * each for lam, each in second.items()}, kept, _sums(4), there)
        figures = Figures.of({"group_mean": arm}, reference @ reference.T).figures["group_mean"]
        pairs = [(p, q) for p in range(4) for q in range(4) if p != q]
        along = np.mean([mine[p] @ reference[q] for p, q in pairs if finished[p]])
        retained = along / np.mean([reference[p] @ reference[q] for p, q in pairs])
        assert figures["s 0.5"][0] == pytest.approx(retained, rel=1e-9)
        q = (there @ second[0.5]) / (there @ second[1.0])
        assert figures["efficiency 0.5"][0] == pytest.approx(retained**2 / q, rel=1e-9)


def test_relative_efficiencies_are_paired_with_the_truth_on_each_resample() -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 6)) + 1
    inner = vectors @ vectors.T
    mine, truth = (
        Arm({lam: q * (1 + np.arange(4.0)) for lam in LAMBDAS}, dict.fromkeys(LAMBDAS, inner), _sums(4), np.ones(4))
        for q in (1.0, 2.0)
    )
    row = Figures.of({"group_mean": mine, "truth": truth}, inner).row("group_mean")
    found = row["relative 0.5"][np.isfinite(row["efficiency 0.5"])]
    assert len(found) > 100
    assert found == pytest.approx(2.0)  # twice the second moment, in every resample


def _sums(problems: int) -> dict[str, np.ndarray[Any, Any]]:
    names = (
        "group_gain", "group_error2", "noise", "weighted_gain", "weighted_group_error2", "weighted_spread",
        "adv_path_both", "adv_path_said2", "adv_path_observed2", "adv_path_noise", "adv_path_steps",
        "adv_path_said", "adv_path_observed",
    )  # fmt: skip
    return {name: np.ones(problems) for name in names}


def test_tau_counts_pairs_and_ties() -> None:
    x = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    y = np.array([[1.0, 1.0], [3.0, 2.0], [2.0, 3.0]])
    found = kendall(x, y)
    assert found[0] == pytest.approx(1 / 3)
    assert np.isnan(found[1])


@pytest.mark.timeout(900)
def test_a_killed_run_continues_and_gives_the_figures_of_its_definition(
    tmp_path: Path, nano_transformers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Starts faster than vLLM, for a suite of two problems and one of one.
    monkeypatch.setattr("sveb.generate.pipeline.choose_engine", lambda *_, **__: "transformers")
    plan = plan_in(tmp_path / "nano")
    script = (  # in one process of its own: a second one would only start
        "from pathlib import Path; from rich.progress import Progress; from bench import gradients; "
        "from tests.e2e.test_gradients import plan_in; gradients.cores = lambda: 1; "
        f"gradients.carry_out(plan_in(Path({str(plan.folder)!r})), Progress())"
    )
    files = [file for part in plan.problem_files("references", ".npy") for file in part]
    run = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    while not any(file.exists() for file in files) and run.poll() is None:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "the run ended before it was killed"
    before = {file: file.stat().st_mtime_ns for file in files if file.exists()}

    with Progress() as progress:
        carry_out(plan, progress)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    finished = finished_problems(plan)
    assert {k: list(kept) for k, kept in finished.items()} == {0: [0, 1], 1: [0]}
    arms = arms_of(plan, finished)
    gradients = [np.load(file) for file in files]

    # The definition, in plain loops over the suites' own tables.
    vectors = ScoreVectors(nano_transformers.model)
    second: dict[float, list[float]] = {lam: [] for lam in LAMBDAS}
    kept_along: dict[float, list[list[float]]] = {lam: [] for lam in LAMBDAS}
    for k, size in plan.parts():
        suite = suite_of(plan, k, size)
        mean = suite.group_means
        for name, probes in zip(names_of_problems(suite), probes_of(suite), strict=True):
            for lam in LAMBDAS:
                whole = []
                for probe in probes:
                    a = loop_advantages([float(mean[name])] * len(probe.starts), probe.return_, lam)
                    scores = vectors.of_segments(probe).numpy()
                    whole.append(sum(weight * score for weight, score in zip(a, scores, strict=True)))
                second[lam].append(float(np.mean([each @ each for each in whole])))
                kept_along[lam].append([float(np.mean(whole, axis=0) @ each) for each in gradients])
    for lam in LAMBDAS:
        assert arms["group_mean"].second[lam] == pytest.approx(second[lam], rel=1e-4)
        assert arms["group_mean"].kept[lam] == pytest.approx(np.array(kept_along[lam]), rel=1e-3, abs=1e-4)
