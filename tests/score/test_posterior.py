"""P(V_a > V_b) under Beta posteriors: hand values, scipy's integration, Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from sveb.common.posterior import pair_probability, probability_greater_binary


def q(wins_a, n_a, wins_b, n_b) -> float:
    return float(probability_greater_binary(np.array([wins_a, wins_b]), np.array([n_a, n_b]))[0, 1])


def by_integration(wins_a, n_a, wins_b, n_b) -> float:
    a, b = stats.beta(wins_a + 0.5, n_a - wins_a + 0.5), stats.beta(wins_b + 0.5, n_b - wins_b + 0.5)
    # adaptive, over x = sin^2 t: finite at both ends; the two peaks are named so that none is stepped over
    peaks = np.arcsin(np.sqrt([wins_a / n_a, wins_b / n_b]))
    return integrate.quad(
        lambda t: a.pdf(np.sin(t) ** 2) * b.cdf(np.sin(t) ** 2) * np.sin(2 * t),
        0, np.pi / 2, points=sorted(set(peaks)), limit=500, epsabs=1e-11,
    )[0]  # fmt: skip


def test_no_draws_and_equal_draws_say_nothing():
    assert q(0, 0, 0, 0) == pytest.approx(0.5, abs=1e-12)
    assert q(7, 64, 7, 64) == pytest.approx(0.5, abs=1e-12)


def test_one_success_against_one_failure_by_hand():
    # with V = sin^2 t, t in [0, pi/2]: densities (4/pi) sin^2 a and (4/pi) cos^2 b; the integral over a > b is
    # (4/pi)^2 * integral of sin^2 a (a/2 + sin(2a)/4) da = (4/pi)^2 * (pi^2/32 + 1/8 + 1/8)
    assert q(1, 1, 0, 1) == pytest.approx(0.5 + 4 / np.pi**2, abs=1e-12)


@settings(max_examples=40)
@given(st.data())
def test_agrees_with_scipys_integration(data):
    n_a, n_b = data.draw(st.sampled_from([1, 3, 16, 64, 256, 1000])), data.draw(st.sampled_from([1, 5, 64, 1000]))
    wins_a, wins_b = data.draw(st.integers(0, n_a)), data.draw(st.integers(0, n_b))
    assert q(wins_a, n_a, wins_b, n_b) == pytest.approx(by_integration(wins_a, n_a, wins_b, n_b), abs=1e-7)


def test_agrees_with_monte_carlo():
    rng = np.random.default_rng(0)
    draws = 400_000
    for case in ((3, 16, 1, 16), (0, 64, 3, 64), (40, 64, 5, 9)):
        a = rng.beta(case[0] + 0.5, case[1] - case[0] + 0.5, draws)
        b = rng.beta(case[2] + 0.5, case[3] - case[2] + 0.5, draws)
        assert q(*case) == pytest.approx((a > b).mean(), abs=5 * 0.5 / np.sqrt(draws))


def test_the_two_directions_add_to_one_at_every_size():
    for n in (1, 64, 300, 20_000):
        wins = np.unique(np.linspace(0, n, 9).astype(int))
        table = probability_greater_binary(wins, np.full(len(wins), n))
        np.testing.assert_allclose(table + table.T, 1.0, atol=1e-10)
        assert (np.diff(table[:, 0]) >= -1e-10).all(), "more successes, more probable"


def test_other_returns_use_the_normal_approximation():
    mean, noise = np.array([0.6, 0.5, 0.5, 0.9]), np.array([0.0009, 0.0016, np.nan, 0.0])
    first, second = np.array([0, 1, 3, 3]), np.array([1, 0, 3, 2])
    got = pair_probability(mean * 4, mean, np.full(4, 4), noise, first, second, binary=False)
    z = 0.1 / 0.05
    np.testing.assert_allclose(got, [stats.norm.cdf(z), stats.norm.cdf(-z), 0.5, 0.5], atol=1e-12)


def test_without_noise_the_larger_mean_is_certain():
    mean, zero = np.array([0.6, 0.5]), np.zeros(2)
    got = pair_probability(mean * 4, mean, np.full(2, 4), zero, np.array([0, 1]), np.array([1, 0]), binary=False)
    assert got.tolist() == [1.0, 0.0]
