"""lookahead: the combination by hand, what the control variate is worth, its charge and its refusals."""

from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.estimators.lookahead import SoFar, combined
from sveb.estimators.mc_shrunk import shrunk
from sveb.estimators.registry import find
from sveb.harness.conformance.examination import check
from sveb.harness.run_estimator import run
from sveb.policies import engines
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite
from tests.harness.reports import keeps_the_contract


def test_without_continuations_it_is_the_mean_over_first_steps() -> None:
    first = np.array([[0.2, 0.4, np.nan], [1.0, 0.0, 0.5], [np.nan] * 3])
    np.testing.assert_allclose(combined(first, np.empty((3, 0)), SoFar()), [0.3, 0.5, np.nan])


def test_a_base_that_does_not_vary_leaves_mc_shrunk() -> None:
    returns = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, np.nan]])
    expected = shrunk(np.full(2, 0.5), np.array([2.0, 0.0]), np.array([3.0, 2.0]), [])
    np.testing.assert_allclose(combined(np.full((2, 7), 0.5), returns, SoFar()), expected)


def test_a_perfect_base_takes_all_noise_off() -> None:
    """f knows each continuation's return: b is 1, and the corrected mean is the mean over all first steps."""
    returns = np.array([[1.0, 1.0], [0.0, 0.0]])
    first = np.array([[1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0]], dtype=float)
    np.testing.assert_allclose(combined(first, returns, SoFar()), [0.5, 0.5])


def test_first_steps_help_where_the_base_tells_them_apart() -> None:
    """Two steps, worth .9 and .1, taken with a chance that differs by state; the base knows which it was."""
    generator = np.random.default_rng(0)
    chance = generator.uniform(0.1, 0.9, (400, 1))
    worth = np.where(generator.random((400, 12)) < chance, 0.9, 0.1)
    returns = (generator.random((400, 4)) < worth[:, 8:]).astype(float)
    truth = 0.1 + 0.8 * chance[:, 0]
    with_steps = ((combined(worth, returns, SoFar()) - truth) ** 2).mean()
    without = ((combined(np.full(worth.shape, 0.5), returns, SoFar()) - truth) ** 2).mean()
    assert with_steps < 0.6 * without
    # Whole continuations alone, uncorrected and unshrunk.
    assert with_steps < 0.6 * ((returns.mean(axis=1) - truth) ** 2).mean()


def test_the_continuations_of_shorter_states_count_for_longer_ones() -> None:
    """In two calls, the second state gets the value that it gets in one call with the first."""
    generator = np.random.default_rng(0)
    first, returns = generator.random((2, 8)), np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    so_far = SoFar()
    alone = combined(first[:1], returns[:1], so_far)
    then = combined(first[1:], returns[1:], so_far)
    assert alone == combined(first[:1], returns[:1], SoFar())
    assert then == pytest.approx(combined(first, returns, SoFar())[1:], rel=1e-12)
    assert then != pytest.approx(combined(first[1:], returns[1:], SoFar()), rel=1e-6)


def test_a_biased_base_is_overruled_by_many_continuations() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(60)
    returns = (generator.random((60, 64)) < truth[:, None]).astype(float)
    found = combined(np.full((60, 66), 0.9), returns, SoFar())
    assert np.abs(found - truth).mean() < 0.06


@pytest.mark.parametrize("base", ["numca", "probe_group"])
def test_it_runs_live_and_is_charged_for_all_that_it_sampled(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setattr(engines, "choose_engine", lambda *_, **__: "transformers")
    """That the same seed gives the same values is a part of the contract."""
    suite, params = Suite.open(tiny_suite), {"k": "1", "m": "2", "base": base}
    found = Predictions.read(run(suite, "lookahead", params, tmp_path))
    assert ((found.values >= 0) & (found.values <= 1)).all()
    extra = {"train_returns", "hidden_states"} if base == "probe_group" else set()
    assert set(found.info.budget) == set(find("lookahead").budget) | extra
    assert found.info.cost.tokens_sampled_per_state > 20
    assert (found.info.cost.tokens_read_per_state > 0) == (base == "probe_group")


@pytest.mark.slow
def test_it_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "choose_engine", lambda *_, **__: "transformers")
    keeps_the_contract(check("lookahead", {"k": "1", "m": "1"}))


@pytest.mark.parametrize("params", [{"m": "0"}, {"k": "-1"}])
def test_counts_that_cannot_be_are_told_before_anything_is_sampled(suite, tmp_path, params) -> None:
    with pytest.raises(SvebError, match="expected m of at least 1 and k of at least 0"):
        run(suite, "lookahead", params, tmp_path)
