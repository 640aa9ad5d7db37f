"""The self-check: its claims hold, and each fails when what it guards is broken."""

from dataclasses import replace

import numpy as np
import pytest

from sveb.score import selfcheck
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.metrics import ratio
from sveb.score.synthetic import GRADUAL, STEPS, chain_values


def silent(what, done, total):
    assert done <= total, what


def test_the_values_are_those_of_the_chain_by_hand():
    step = np.array([[0.2, 0.5, 0.3]])
    values = chain_values(step, GRADUAL)[0]
    assert values[STEPS, 4] == pytest.approx((4 / 16) ** 2)
    assert values[STEPS - 1, 4] == pytest.approx(0.2 * (4 / 16) ** 2 + 0.5 * (5 / 16) ** 2 + 0.3 * (6 / 16) ** 2)


def test_the_values_are_the_means_of_simulated_rollouts():
    rng = np.random.default_rng(0)
    step = np.array([0.2, 0.5, 0.3])
    points = 3 + rng.choice(3, p=step, size=(40_000, STEPS - 2)).sum(axis=1)
    returns = rng.random(40_000) < GRADUAL[points]
    assert chain_values(step[None], GRADUAL)[0, 2, 3] == pytest.approx(returns.mean(), abs=4 * 0.5 / 200)


def test_an_mse_without_its_correction_is_found_out(monkeypatch):
    assert selfcheck._unbiased(4, 40, silent).holds
    uncorrected = replace(CATALOGUE["mse"], formula=lambda s: ratio(s["error2"], s["n"]))
    monkeypatch.setitem(CATALOGUE, "mse", uncorrected)
    assert not selfcheck._unbiased(4, 40, silent).holds


def test_intervals_that_are_too_narrow_are_found_out(monkeypatch):
    monkeypatch.setattr("sveb.score.bootstrap.LEVEL", 0.6)
    assert not all(claim.holds for claim in selfcheck._coverage(30, silent, every=False))


def test_alarms_that_never_ring_are_found_out(monkeypatch):
    monkeypatch.setattr(selfcheck, "alarms", lambda *_: [])
    claims = list(selfcheck._leaks(2, silent))
    assert [claim.holds for claim in claims] == [True] * 4 + [False] * 6


def test_files_and_arrays_agree():
    assert selfcheck._files(silent).holds


@pytest.mark.slow
def test_all_claims_hold(monkeypatch):
    """The mse at few draws: test_mse_is_unbiased_however_few_the_draws, with finer bounds."""
    monkeypatch.setattr(selfcheck, "DRAWS", selfcheck.DRAWS[-2:])
    failed = [claim for claim in selfcheck.selfcheck(silent) if not claim.holds]
    assert failed == []
