"""The resamples, and intervals that count what they cannot compute."""

import numpy as np
import pytest
from known_values import simulate

from sveb.score.bootstrap import estimate, resample_counts, resampled_sums
from sveb.score.metrics import mse
from sveb.score.statistics import problem_statistics


def test_row_0_is_the_data_and_every_row_draws_as_many_problems():
    counts = resample_counts(40, replicates=300)
    assert (counts[0] == 1).all()
    assert (counts.sum(axis=1) == 40).all()
    assert counts[1:].var() == pytest.approx(39 / 40, rel=0.1), "multinomial, not a permutation"
    np.testing.assert_array_equal(counts, resample_counts(40, replicates=300))


def test_sums_equal_those_of_the_explicitly_resampled_problems():
    rng = np.random.default_rng(0)
    statistics = {"a": rng.normal(size=9), "b": rng.normal(size=9)}
    counts = resample_counts(9, replicates=700)
    sums = resampled_sums(statistics, counts)
    for r in (0, 1, 699):
        chosen = np.repeat(np.arange(9), counts[r])
        assert sums["a"][r] == pytest.approx(statistics["a"][chosen].sum(), abs=1e-12)
        assert sums["b"][r] == pytest.approx(statistics["b"][chosen].sum(), abs=1e-12)


def test_percentile_ends_by_hand():
    replicates = np.arange(2000.0)
    result = estimate(np.concatenate([[7.0], replicates[::-1]]), 5, "never")
    # 0-based places .025 * 1999 = 49.975 and 1949.025, taken outwards: 50 replicates beyond or at each end
    assert (result.value, result.low, result.high, result.note) == (7.0, 49.0, 1950.0, None)


def test_few_undefined_replicates_widen_the_interval_and_are_counted():
    replicates = np.arange(2000.0)
    replicates[1000:1030] = np.nan
    result = estimate(np.concatenate([[7.0], replicates]), 5, "no such thing")
    assert (result.low, result.high) == (19.0, 1980.0)
    assert result.note == "30 of 2000 replicates undefined: no such thing"


def test_many_undefined_replicates_leave_no_interval():
    replicates = np.where(np.arange(2000) % 10 == 0, np.nan, 1.0)
    result = estimate(np.concatenate([[1.0], replicates]), 5, "why")
    assert result.value == 1.0
    assert np.isnan([result.low, result.high]).all()
    assert "200 of 2000" in result.note


def test_unbounded_replicates_open_one_end_only():
    replicates = np.concatenate([np.full(200, np.inf), np.arange(1800.0)])
    result = estimate(np.concatenate([[5.0], replicates]), 5, "unbounded")
    assert result.low == 49.0
    assert np.isnan(result.high)


def test_an_undefined_point_has_no_interval_and_one_problem_has_none():
    assert estimate(np.array([np.nan, 1.0, 1.0]), 5, "why").note == "why"
    assert np.isnan(estimate(np.array([np.inf, 1.0, 1.0]), 5, "why").value)
    lone = estimate(np.array([0.2, 0.2, 0.2]), 1, "why")
    assert lone.value == 0.2
    assert np.isnan([lone.low, lone.high]).all()
    assert "one problem" in lone.note


def test_intervals_for_mse_cover_its_true_value():
    """Problems drawn anew 300 times: the expected mse over all problems lies inside about 95 % of the intervals."""
    noise, replications, covered = 0.15, 300, 0
    rng = np.random.default_rng(5)
    counts = resample_counts(60, replicates=1000)
    for seed in range(replications):
        sim = simulate(seed, problems=60, rollouts=1, k=8)
        shift = rng.normal(0, noise, 60)[sim.truth.problem]  # shared by the states of a problem
        values = sim.value + shift
        statistics = problem_statistics(sim.truth, values, np.ones(len(values), dtype=bool))
        result = estimate(mse(resampled_sums(statistics, counts)), 60, "never")
        covered += result.low <= noise**2 <= result.high
    # 95 % less the percentile interval's known shortfall at 60 clusters, +- 3 binomial standard errors (.013)
    assert 0.90 <= covered / replications <= 0.985
