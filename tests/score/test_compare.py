"""Paired comparisons: the difference, its interval, and the sentence."""

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.runs.figures import Comparison
from sveb.runs.results import Estimate
from sveb.score.bootstrap import resample
from sveb.score.compare import compare, paired_differences
from sveb.score.score import evaluate
from sveb.score.synthetic import simulate
from tests.support.suites import of_rows, predict


def noisy(sim, seed, scale):
    return sim.value + np.random.default_rng(seed).normal(0, scale, len(sim.value))


def test_differences_are_those_of_the_two_scores_and_change_sign_with_the_order():
    sim = simulate(2, problems=40, k=16)
    a, b = noisy(sim, 0, 0.1), noisy(sim, 1, 0.2)
    mse, skill = paired_differences(sim.truth, a, b)
    counts, given = resample(40, replicates=5), np.ones(len(a), dtype=bool)
    first, second = (evaluate(sim.truth, v, given, counts) for v in (a, b))
    assert mse.value == pytest.approx(first["mse"].value - second["mse"].value, abs=1e-11)
    assert skill.value == pytest.approx(first["skill"].value - second["skill"].value, abs=1e-11)
    back, _ = paired_differences(sim.truth, b, a)
    assert (back.value, back.low, back.high) == (-mse.value, -mse.high, -mse.low)


def test_pairing_narrows_the_interval():
    sim = simulate(2, problems=80, k=16)
    shared = noisy(sim, 0, 0.25)
    mse, _ = paired_differences(sim.truth, shared, shared + 0.01)
    counts, given = resample(80), np.ones(len(shared), dtype=bool)
    alone = evaluate(sim.truth, shared, given, counts)["mse"]
    assert mse.high - mse.low < 0.5 * (alone.high - alone.low)


def test_an_estimator_equals_itself():
    sim = simulate(2, problems=60, k=16)
    values = noisy(sim, 0, 0.1)
    for difference in paired_differences(sim.truth, values, values):
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_a_single_draw_still_compares_raw_errors():
    sim = simulate(2, problems=10, k=1)
    mse, skill = paired_differences(sim.truth, noisy(sim, 0, 0.1), noisy(sim, 1, 0.5))
    assert mse.high < 0
    assert "single graded continuation" in skill.note


def test_the_verdict_says_better_worse_or_not_separated():
    mse = Estimate(-0.01, -0.02, -0.005)
    assert Comparison("a", "b", mse, Estimate(0.1, 0.05, 0.2)).verdict == (
        "a is better than b: skill +0.100 (95 % interval +0.050 to +0.200)"
    )
    assert "a is worse than b" in Comparison("a", "b", mse, Estimate(-0.1, -0.2, -0.05)).verdict
    assert "not separated" in Comparison("a", "b", mse, Estimate(0.1, -0.05, 0.2)).verdict
    none = Estimate(np.nan, np.nan, np.nan, "why")
    assert "a is better than b: mse -0.010" in Comparison("a", "b", mse, none).verdict
    assert Comparison("a", "b", none, none).verdict == "a and b cannot be compared: why"
    lone = Estimate(0.1, np.nan, np.nan, "one problem")
    assert "without an interval (one problem)" in Comparison("a", "b", mse, lone).verdict


def test_files_are_compared_and_checked(tmp_path):
    rng = np.random.default_rng(0)
    level = rng.uniform(size=20)
    states = [
        (f"{p}/{t}", f"{p}", f"{p}/r", "path", t, None, [float(x) for x in rng.uniform(size=32) < level[p]])
        for p in range(20)
        for t in range(4)
    ]
    suite = of_rows(tmp_path / "s", states, {str(p): [0.0, 1.0] for p in range(20)})
    ids = [s[0] for s in states]
    oracle = predict(tmp_path / "a.parquet", suite, ids, np.repeat(level, 4), name="oracle")
    half = predict(tmp_path / "b.parquet", suite, ids, np.full(80, 0.5), name="half")
    result = compare(suite, oracle, half)
    assert result.verdict.startswith("oracle is better than half: skill +")
    short = predict(tmp_path / "c.parquet", suite, ids[:-1], np.full(79, 0.5))
    with pytest.raises(SvebError, match="1 states have no value"):
        compare(suite, oracle, short)
