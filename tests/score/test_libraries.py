"""Agreement with independent implementations, where they exist: those of scipy, at infinitely many draws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cityblock, sqeuclidean
from scipy.stats import kendalltau, spearmanr

from sveb.score.bootstrap import resample
from sveb.score.score import evaluate
from sveb.score.synthetic import simulate
from tests.support.known_values import known_exactly, truth_of

seeds = st.integers(0, 2**32 - 1)


def points(truth, values):
    found = evaluate(truth, values, np.ones(len(values), dtype=bool), resample(len(truth.problem_ids), 1))
    return {name: e.value for name, e in found.items()}


@settings(max_examples=25)
@given(seeds)
def test_at_infinite_k_the_metrics_are_the_libraries(seed):
    sim = simulate(seed % 1000, problems=10, k=4)
    truth, path = known_exactly(sim), sim.truth.rows("path")
    values = np.round(sim.value + np.random.default_rng(seed).normal(0, 0.3, len(sim.value)), 1)
    v, g = values[path], sim.value[path]
    got = points(truth, values)
    assert got["mse"] == got["mse_raw"] == pytest.approx(sqeuclidean(g, v) / len(g), abs=1e-12)
    assert got["mae_raw"] == pytest.approx(cityblock(g, v) / len(g), abs=1e-12)
    assert got["r2"] == pytest.approx(1 - sqeuclidean(g, v) / sqeuclidean(g, np.full(len(g), g.mean())), abs=1e-11)
    assert got["spearman"] == pytest.approx(spearmanr(v, g).statistic, abs=1e-12)
    assert got["spearman_ceiling"] == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=25)
@given(seeds)
def test_with_certain_pairs_and_no_ties_the_order_is_kendalls_tau(seed):
    rng = np.random.default_rng(seed)
    truth = replace(truth_of([0] * 9, [[0, 1]] * 9), binary=False)
    g, zero = rng.permutation(9) / 9, np.zeros(9)
    truth = replace(truth, returns=replace(truth.returns, mean=g, noise=zero))
    values = rng.normal(size=9)
    assert 2 * points(truth, values)["order_within"] - 1 == pytest.approx(kendalltau(values, g).statistic, abs=1e-12)


@settings(max_examples=25)
@given(seeds, st.floats(0, 1))
def test_mixing_towards_the_truth_never_lowers_skill(seed, weight):
    sim = simulate(seed % 1000, problems=8, k=4)
    truth = known_exactly(sim)
    values = np.random.default_rng(seed).uniform(size=len(sim.value))
    nearer = weight * sim.value + (1 - weight) * values
    assert points(truth, nearer)["skill"] >= points(truth, values)["skill"] - 1e-12


def test_returns_between_0_and_1_are_scored_as_returns_of_0_and_1_are():
    """Returns R = B / 2 + C / 2 of two coins with the same V: half the variance, and all claims stay."""
    rng = np.random.default_rng(0)
    sim = simulate(0, problems=400, rollouts=2, k=4)
    returns = (rng.random((len(sim.value), 16)) < sim.value[:, None]) / 2
    returns += (rng.random((len(sim.value), 16)) < sim.value[:, None]) / 2
    halved = truth_of(list(sim.truth.problem), returns.tolist())
    truth = replace(sim.truth, returns=halved.returns, binary=False)
    perfect = points(truth, sim.value)
    assert perfect["mse"] == pytest.approx(0, abs=2e-4)
    assert perfect["order_siblings"] > 0.85
    assert perfect["spearman_of_ceiling"] == pytest.approx(1, abs=0.02)
    for k in (1, 4):
        drawn = rng.binomial(2 * k, sim.value) / (2 * k)
        assert points(truth, drawn)["worth"] == pytest.approx(k, rel=0.08), "k rollouts of the same kind"
    assert points(truth, sim.value)["explained_variance"] > 0
