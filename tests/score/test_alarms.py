"""Leak alarms: what raises them, what does not, and what each of them cannot see."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sveb.score.alarms import alarms, audit_contrast, half_contrast, mse_contrast, pool_contrast
from sveb.score.synthetic import simulate
from tests.support.known_values import truth_of


def honest(sim, seed=0):
    return sim.value + np.random.default_rng(seed).normal(0, 0.1, len(sim.value))


def test_the_contrast_by_hand():
    truth = truth_of([0, 1], [[1, 1, 0, 0], [0, 1, 0, 1]])  # halves 1 0 and .5 .5
    # problem 0: (.9 - .5) * (1 - 0) = .4; problem 1: nothing; z = .4 / sqrt(.4^2)
    assert half_contrast(truth, np.array([0.9, 0.7])) == pytest.approx(1.0)
    assert half_contrast(truth, np.array([0.2, 0.7])) == pytest.approx(-1.0)


def test_the_contrast_with_the_draws_for_sale_by_hand():
    truth = truth_of([0, 1], [[1, 1, 0, 0], [1, 1, 1, 1]])
    truth = replace(truth, pool_mean=np.array([0.0, np.nan]), pool_n=np.array([1, 0]))
    # state 0: g = .5, s2 = (1/3)/4: (v - .5) * (.5 - 0) + 1/12 is 0 at v = 1/3. state 1 has nothing to compare with
    assert pool_contrast(truth, np.array([0.9, 0.0])) == pytest.approx(1.0)
    assert pool_contrast(truth, np.array([0.34, 0.0])) == pytest.approx(1.0)
    assert pool_contrast(truth, np.array([0.33, 0.0])) == pytest.approx(-1.0)
    assert pool_contrast(truth, np.array([0.0, 0.0])) == pytest.approx(-1.0)


def test_a_leak_of_some_draws_is_named_after_the_half_they_are_in():
    sim = simulate(0, problems=130, rollouts=4, k=64)
    for half, which in ((sim.truth.returns.first, "first"), (sim.truth.returns.second, "second")):
        first, *_ = alarms(sim.truth, 0.75 * honest(sim) + 0.25 * half)
        assert first["badge"] == "leak"
        assert f"know the {which} half" in first["evidence"]


def test_a_share_of_the_whole_means_shows_against_the_draws_for_sale():
    sim = simulate(0, problems=130, rollouts=4, k=64)
    leaked = 0.75 * honest(sim) + 0.25 * sim.truth.mean
    assert abs(half_contrast(sim.truth, leaked)) < 3
    (alarm,) = alarms(sim.truth, leaked)
    assert "the predictions know the truth's" in alarm["evidence"]


def test_buying_draws_is_no_leak():
    sim = simulate(0, problems=130, rollouts=4, k=64)
    assert pool_contrast(sim.truth, sim.truth.pool_mean) < -3
    assert alarms(sim.truth, sim.truth.pool_mean) == []


def test_draws_that_were_not_bought_are_seen() -> None:
    """They are published with the suite, also for problems whose truth is private: code can contain them."""
    sim = simulate(1, problems=130, rollouts=4, k=64)
    level = sim.truth.group_mean[sim.truth.problem]
    assert alarms(sim.truth, level, bought=False) == []
    (alarm,) = alarms(sim.truth, 0.75 * level + 0.25 * sim.truth.pool_mean, bought=False)
    assert "but the run bought none" in alarm["evidence"]


def test_a_leak_of_whole_means_leaves_the_halves_alone_and_shows_in_the_mse():
    sim = simulate(0, problems=130, rollouts=4, k=64)
    assert abs(half_contrast(sim.truth, sim.truth.mean)) < 1e-9
    first, _ = alarms(sim.truth, sim.truth.mean)
    assert "below 0" in first["evidence"]


@pytest.mark.parametrize("k", [2, 5, 64])
def test_honest_predictions_stay_within_chance_for_even_and_odd_draws(k):
    for contrast in (half_contrast, pool_contrast):
        found = [contrast((sim := simulate(i, problems=60, k=k)).truth, honest(sim, i)) for i in range(60)]
        assert np.mean(found) == pytest.approx(0, abs=4 / math.sqrt(60))
        assert np.std(found) == pytest.approx(1, abs=0.3), "a z-score: clustered states are counted as such"


def test_the_mse_in_its_standard_errors_by_hand():
    truth = truth_of([0, 0, 1], [[1, 0], [1, 0], [1, 1]], kind=["path", "sibling", "path"])  # s2 = .25 .25 0
    # problem 0: (v - .5)^2 - .25, problem 1: (v - 1)^2
    assert mse_contrast(truth, np.array([0.5, 9.0, 1.0])) == pytest.approx(-1.0)
    assert mse_contrast(truth, np.array([0.5, 9.0, 0.5])) == pytest.approx(0.0)


def test_an_mse_slightly_below_zero_is_no_leak():
    """V itself has a corrected mse on either side of 0: 3 standard errors below is an alarm, 2 are not."""
    found = [mse_contrast((sim := simulate(i, problems=60, k=16)).truth, sim.value) for i in range(60)]
    assert np.std(found) == pytest.approx(1, abs=0.3)
    low = int(np.argmin(found))
    assert -3 < found[low] < -1.5
    sim = simulate(low, problems=60, k=16)
    assert alarms(sim.truth, sim.value) == []


def test_without_two_draws_a_state_there_is_no_contrast():
    assert half_contrast(truth_of([0, 1], [[1], [0]]), np.array([0.1, 0.9])) == 0.0


def audited(seed=0, problems=130, k=64, audit=64):
    return simulate(seed, problems=problems, rollouts=4, k=k, audit=audit)


def test_the_contrast_with_the_audit_pool_by_plain_loops():
    sim = audited(problems=12, k=5, audit=3)
    values, audit, sums = honest(sim), sim.truth.audit, [0.0] * 12
    for i, v in enumerate(values):
        g, a = sim.truth.mean[i], audit.mean[i]
        # returns of 0 and 1: the unbiased variance of the mean of n is m (1 - m) / (n - 1)
        against_truth = (v - g) ** 2 - g * (1 - g) / 4
        against_audit = (v - a) ** 2 - a * (1 - a) / 2
        sums[sim.truth.problem[i]] += against_truth - against_audit
    expected = sum(sums) / math.sqrt(sum(each * each for each in sums))
    assert audit_contrast(sim.truth, values) == pytest.approx(expected, abs=1e-9)


def test_bought_draws_do_not_hide_a_leak_from_the_audit_pool():
    sim = audited()
    masked = 0.5 * sim.truth.mean + 0.5 * sim.truth.pool_mean
    assert pool_contrast(sim.truth, masked) < 3, "they hide it from this one"
    (alarm,) = alarms(sim.truth, masked)
    assert "audit pool" in alarm["evidence"]
    assert alarms(sim.truth, 0.5 * honest(sim) + 0.5 * sim.truth.pool_mean) == []


def test_honest_predictions_err_alike_against_truth_and_audit_pool():
    found = [audit_contrast((sim := audited(i, 60, 16, 4)).truth, honest(sim, i)) for i in range(60)]
    assert np.mean(found) == pytest.approx(0, abs=4 / math.sqrt(60))
    assert np.std(found) == pytest.approx(1, abs=0.3)


def test_a_suite_without_an_audit_pool_has_no_such_contrast():
    sim = audited(audit=0)
    assert math.isnan(audit_contrast(sim.truth, sim.truth.mean))
    single = audited(audit=1)  # one return has no noise that could be removed
    assert math.isnan(audit_contrast(single.truth, single.truth.mean))
