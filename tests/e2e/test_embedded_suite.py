"""The suites that ship: whole, small, graded, and a ruler on which known estimators measure what they must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sveb.common.seeds import seeds
from sveb.evaluation import evaluate
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.suite.suite import EMBEDDED_DIR, EMBEDDED_SUITE, Suite
from sveb.suite.verify_suite import verify

SHIPPED = sorted(path.parent.name for path in EMBEDDED_DIR.glob("*/manifest.json"))
OF_A_PRETRAINED_MODEL = [name for name in SHIPPED if name != EMBEDDED_SUITE]


@pytest.fixture(scope="module")
def suite() -> Suite:
    """The suite of the embedded policy."""
    return Suite.open(EMBEDDED_DIR / EMBEDDED_SUITE)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_whole_and_small(name: str) -> None:
    suite = Suite.open(EMBEDDED_DIR / name)
    assert verify(suite) == []
    assert sum(path.stat().st_size for path in suite.path.iterdir()) <= 6 * 2**20


@pytest.mark.parametrize("name", OF_A_PRETRAINED_MODEL)
def test_the_suites_of_a_pretrained_model_have_enough_of_everything(name: str) -> None:
    manifest = Suite.open(EMBEDDED_DIR / name).manifest
    s, c = manifest.statistics, manifest.counts
    assert c["test_problems"] >= 60
    assert c["train_problems"] >= 200
    assert c["continuations"] >= 32
    assert c["draws"] >= 9
    assert s["states"]["path"] >= 600
    assert s["states"]["sibling"] >= 250
    assert s["missing_grades"] == 0
    assert s["within_problem_share"] >= 0.25
    assert s["graded_share"] >= 0.4


@pytest.mark.parametrize("name", OF_A_PRETRAINED_MODEL)
def test_what_reads_only_text_needs_no_weights(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "no weights here"))
    found = evaluate(Suite.open(EMBEDDED_DIR / name), "text_similarity", {}, tmp_path / "run").results
    assert found.info.budget == ["group"]
    assert 0 < found.metrics["mse"].value < 0.25
    assert not list(tmp_path.glob("no weights here/models/*"))


def test_it_has_enough_of_everything(suite: Suite) -> None:
    s, c = suite.manifest.statistics, suite.manifest.counts
    assert c["test_problems"] >= 100
    assert s["states"]["path"] >= 1500
    assert s["sibling_groups"] >= 150
    assert (c["continuations"], c["draws"]) == (64, 16)
    assert s["missing_grades"] == 0


def test_its_truth_means_something(suite: Suite) -> None:
    s = suite.manifest.statistics
    assert s["within_problem_share"] >= 0.5
    assert s["graded_share"] >= 0.4
    assert s["noise_floor"] < 0.02 * s["value_variance"] * 1.5
    rates = s["success_rate_by_tier"]
    assert rates["light"] > rates["middle"] > rates["heavy"]


def test_the_group_means_skill_is_zero(suite: Suite, tmp_path: Path) -> None:
    skill = evaluate(suite, "group_mean", {}, tmp_path).results.metrics["skill"]
    assert (skill.value, skill.low, skill.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("k", [1, 2, 4, 9, 16])
def test_k_rollouts_are_worth_k(suite: Suite, tmp_path: Path, k: int) -> None:
    worth = evaluate(suite, "mc", {"k": str(k)}, tmp_path).results.metrics["worth"]
    assert worth.low <= k <= worth.high
    assert worth.high - worth.low < 0.35 * k


@pytest.mark.slow
def test_the_other_engine_finds_the_same_values(suite: Suite, nano_transformers: Policy) -> None:
    """Chi-square over 60 states: vLLM's 64 continuations in the suite against 16 fresh ones from transformers."""
    from scipy.stats import chi2

    n, k = 64, 16
    path = suite.states[suite.states["kind"] == "path"]
    states = path.iloc[:: len(path) // 60][:60]
    truth = suite.table("truth", ["state_id", "value_mean"]).to_pandas().set_index("state_id")["value_mean"]
    sampling = Sampling(**suite.manifest.sampling)
    numbers = seeds(123_456, np.arange(60 * k)).reshape(60, k)
    asked, answers = [], {}
    for row, own in zip(states.itertuples(), numbers, strict=True):
        problem = suite.problems.loc[row.problem_id]
        answers[row.state_id] = problem["answer"]
        prefix = [*problem["prompt_token_ids"], *row.token_ids]
        asked += [
            SampleRequest((row.state_id, i), prefix, int(s), sampling.max_new_tokens - row.n_tokens)
            for i, s in enumerate(own)
        ]
    wins = dict.fromkeys(answers, 0.0)
    for done in nano_transformers.sample(asked, sampling):
        state_id = done.key[0]
        text = states.loc[state_id, "text"] + nano_transformers.codec.decode(done.token_ids)
        said = text.rpartition("####")[2].strip() if done.finish_reason == "stop" and "####" in text else None
        wins[state_id] += said == answers[state_id]
    theirs = np.array([wins[s] / k for s in states["state_id"]])
    ours = truth[states["state_id"]].to_numpy()
    pooled = (k * theirs + n * ours) / (k + n)
    open_ = (pooled > 0) & (pooled < 1)
    assert open_.sum() > 30
    p = pooled[open_]
    statistic = ((theirs - ours)[open_] ** 2 / (p * (1 - p) * (1 / n + 1 / k))).sum()
    assert chi2.sf(statistic, open_.sum()) > 0.01
