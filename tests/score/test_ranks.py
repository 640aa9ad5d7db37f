"""Spearman's rho against scipy, on whole data and on data resampled by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from sveb.score.bootstrap import resample
from sveb.score.rank_correlation import average_ranks, spearman_by_problem, spearman_resampled

seeds = st.integers(0, 2**32 - 1)


def tied_data(seed: int, n: int = 60, problems: int = 12):
    rng = np.random.default_rng(seed)
    problem = rng.integers(0, problems, n)
    truth = rng.integers(0, 5, n) / 4
    values = np.round(truth + rng.normal(0, 0.5, n), 1)
    return values, truth, problem


@given(seeds)
def test_average_ranks_inside_groups_are_scipys(seed):
    values, _, group = tied_data(seed)
    ranks = average_ranks(values, group)
    for g in np.unique(group):
        np.testing.assert_array_equal(ranks[group == g], rankdata(values[group == g]))


@settings(max_examples=40)
@given(seeds, st.sampled_from([0.0, 1e-6]))
def test_every_replicate_is_scipys_rho_of_the_resampled_states(seed, apart):
    """Both with ties in values and truth, which are joined beforehand, and without."""
    values, truth, problem = tied_data(seed)
    values = values + apart * np.arange(60)
    counts = resample(12, replicates=20, seed=seed).counts
    rho = spearman_resampled(values, truth, problem, counts)
    for row, ours in zip(counts, rho, strict=True):
        chosen = np.repeat(np.arange(60), row[problem])
        assert ours == pytest.approx(spearmanr(values[chosen], truth[chosen]).statistic, abs=1e-12)


def test_chunks_do_not_show(monkeypatch):
    values, truth, problem = tied_data(3)
    counts = resample(12, replicates=50).counts
    whole = spearman_resampled(values, truth, problem, counts)
    for name, size in (("_BLOCK", 7), ("_COLUMNS", 9), ("_LEVEL_CELLS", 20)):
        monkeypatch.setattr(f"sveb.score.rank_correlation.{name}", size)
        np.testing.assert_array_equal(spearman_resampled(values, truth, problem, counts), whole)


def test_a_constant_prediction_scores_0_and_a_constant_truth_is_undefined():
    ones = np.ones((1, 2), dtype=np.int64)
    problem, ramp = np.array([0, 0, 1, 1]), np.arange(4.0)
    assert spearman_resampled(np.full(4, 0.3), ramp, problem, ones).tolist() == [0.0]
    assert np.isnan(spearman_resampled(ramp, np.full(4, 0.3), problem, ones)).all()
    assert np.isnan(spearman_resampled(ramp[:0], ramp[:0], problem[:0], ones)).all()
    assert spearman_resampled(np.exp(ramp), ramp, problem, ones).tolist() == [1.0]


def test_a_resample_without_states_is_undefined():
    rho = spearman_resampled(np.ones(3), np.arange(3.0), np.zeros(3, dtype=np.int64), np.array([[1, 1], [0, 2]]))
    np.testing.assert_array_equal(rho, [0.0, np.nan])


def test_rho_inside_problems_needs_three_states_and_a_truth_that_varies():
    problem = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3])
    truth = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.5, 0.5, 0.5, 0.0, 0.0, 0.5, 1.0])
    values = np.array([0.3, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4])
    rho = spearman_by_problem(values, truth, problem, 5)
    # ranks 3 1 2 against 1 2 3: rho = 1 - 6 (4 + 1 + 1) / 24
    np.testing.assert_allclose(rho, [-0.5, np.nan, np.nan, 0.0, np.nan])


@given(seeds)
def test_rho_inside_problems_is_scipys(seed):
    values, truth, problem = tied_data(seed, n=40, problems=3)
    rho = spearman_by_problem(values, truth, problem, 3)
    for p in range(3):
        inside = problem == p
        if inside.sum() < 3 or len(set(truth[inside])) == 1:
            assert np.isnan(rho[p])
        elif len(set(values[inside])) == 1:
            assert rho[p] == 0
        else:
            assert rho[p] == pytest.approx(spearmanr(values[inside], truth[inside]).statistic, abs=1e-12)
