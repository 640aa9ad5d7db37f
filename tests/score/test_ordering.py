"""Pairs of steps and of siblings: which there are, and what ordering them earns."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.score import metrics
from sveb.score.ordering import (
    Pairs,
    agreement,
    gap_statistics,
    order_statistics,
    problem_pairs,
    sibling_pairs,
    step_pairs,
    top1_statistics,
)
from sveb.score.synthetic import redrawn, simulate
from tests.support.known_values import truth_of


def wins(k: int, n: int = 64) -> list[float]:
    return [1.0] * k + [0.0] * (n - k)


def siblings(*groups: list[int]):
    """Sibling groups, one problem each, a group's members by their successes of 64."""
    flat = [(g, k) for g, members in enumerate(groups) for k in members]
    return truth_of([g for g, _ in flat], [wins(k) for _, k in flat], kind="sibling", parent=[g for g, _ in flat])


def order(truth, pairs, values, prefix="x"):
    sums = {k: v.sum(keepdims=True) for k, v in order_statistics(truth, pairs, np.asarray(values), prefix).items()}
    return float(metrics.order(sums, prefix)[0])


def test_steps_pair_path_states_of_one_rollout_that_are_one_step_apart():
    truth = truth_of([0, 0, 0, 0, 0], [wins(9)] * 5, rollout=[4, 7, 4, 4, 7])
    object.__setattr__(truth, "step_index", np.array([3, 2, 1, 2, 1]))
    pairs = step_pairs(truth)
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(2, 3), (3, 0), (4, 1)]
    object.__setattr__(truth, "step_index", np.array([5, 2, 1, 3, 1]))
    pairs = step_pairs(truth)
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(4, 1)], "the others skip a step"


def test_states_of_other_kinds_and_without_truth_are_in_no_step_pair():
    truth = truth_of([0] * 4, [wins(1), [np.nan], wins(3), wins(4)], kind=["path", "path", "root", "path"])
    for steps, expected in (([1, 2, 2, 2], ([0], [3])), ([1, 2, 2, 3], ([], []))):
        pairs = step_pairs(replace(truth, step_index=np.array(steps)))
        assert (pairs.first.tolist(), pairs.second.tolist()) == expected


def test_siblings_pair_within_their_parent_only():
    pairs = sibling_pairs(siblings([1, 2, 3], [4], [5, 6]))
    assert sorted(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2), (4, 5)]


def test_agreement_by_hand():
    pairs = Pairs(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([0.99, 0.2, 0.97]))
    np.testing.assert_allclose(agreement(pairs, np.array([0.7, 0.7, 0.1])), [0.5, 0.2, 0.97])
    assert pairs.resolved.tolist() == [True, False, True]


def test_right_wrong_and_constant_orders_score_1_0_and_a_half():
    truth = siblings([2, 30, 60], [5, 50])
    pairs = sibling_pairs(truth)
    assert pairs.resolved.all()
    assert order(truth, pairs, truth.mean) == pytest.approx(1.0, abs=1e-12)
    assert order(truth, pairs, -truth.mean) == pytest.approx(0.0, abs=1e-12)
    assert order(truth, pairs, np.full(5, 0.4)) == pytest.approx(0.5, abs=1e-12)


def test_sums_by_problem_count_pairs_and_the_resolved():
    truth = siblings([2, 3, 60], [5, 50])
    statistics = order_statistics(truth, sibling_pairs(truth), truth.mean, "x")
    assert statistics["x_pairs"].tolist() == [3, 1]
    assert statistics["x_resolved"].tolist() == [2, 1]
    assert (statistics["x_ceiling"] <= statistics["x_resolved"]).all()


def test_an_oracle_attains_the_ceiling_when_draws_resolve_what_steps_change():
    sim = simulate(1, problems=150, rollouts=3, k=1024)
    assert order(sim.truth, sibling_pairs(sim.truth), sim.value) == pytest.approx(1.0, abs=0.002)
    assert order(sim.truth, step_pairs(sim.truth), sim.value) == pytest.approx(1.0, abs=0.015)


def test_few_draws_on_steps_that_change_little_keep_an_oracle_below_the_ceiling():
    """Some pairs of near-equal states are resolved by chance, wrongly: the posteriors know of no such likeness."""
    scores = []
    for k in (16, 64, 256):
        sim = simulate(1, problems=150, rollouts=3, k=k)
        scores.append(order(sim.truth, step_pairs(sim.truth), sim.value))
    assert scores == sorted(scores)
    assert scores[0] < 0.8 < scores[1] < 0.95 < scores[2]


def test_top1_and_regret_by_hand_with_ties_by_fractions():
    truth = siblings([10, 40, 40], [20, 30], [7, 9])
    groups = {
        "right": ([0.1, 0.2, 0.9, 0.1, 0.2, 0.4, 0.3], [1.0, 1.0, 0.0], [0, 0, 2]),
        "ties": ([0.5, 0.5, 0.1, 0.5, 0.5, 0.0, 1.0], [0.5, 0.5, 1.0], [15, 5, 0]),
        "constant": ([0.5] * 7, [2 / 3, 0.5, 0.5], [10, 5, 1]),
    }
    for values, hits, wins_lost in groups.values():
        statistics = top1_statistics(truth, np.array(values))
        np.testing.assert_allclose(statistics["top1"], hits)
        np.testing.assert_allclose(statistics["regret"], np.array(wins_lost) / 64)
        assert statistics["groups"].tolist() == [1, 1, 1]


def test_a_single_sibling_is_no_group():
    statistics = top1_statistics(siblings([3], [4]), np.array([0.1, 0.2]))
    assert statistics["groups"].tolist() == [0, 0]


@given(st.integers(0, 2**32 - 1))
def test_order_and_top1_do_not_change_under_monotone_transforms(seed):
    truth = siblings([2, 30, 60, 31], [5, 50], [20, 25, 33])
    values = np.random.default_rng(seed).integers(-3, 4, 9) / 3
    pairs = sibling_pairs(truth)
    for warped in (np.exp(values), 5 * values - 2):
        assert order(truth, pairs, warped) == order(truth, pairs, values)
        np.testing.assert_array_equal(top1_statistics(truth, warped)["top1"], top1_statistics(truth, values)["top1"])


def test_within_a_problem_every_two_path_states_pair_and_no_others():
    truth = truth_of([0, 0, 1, 0, 1], [wins(9)] * 5, kind=["path", "path", "path", "sibling", "path"])
    pairs = problem_pairs(truth)
    assert sorted(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(0, 1), (2, 4)]


@pytest.mark.parametrize("k", [4, 16, 256])
def test_the_gap_weighted_numerator_is_unbiased_and_half_the_draws_score_less_than_all_knowledge(k):
    """The oracle's score rises towards the numerator of V itself as the draws grow."""
    sim = simulate(0, problems=60, rollouts=2, k=k)
    rng = np.random.default_rng(1)
    known, found, oracle = None, [], []
    for _ in range(60):
        truth = redrawn(sim, k, rng).truth
        pairs = problem_pairs(truth)
        statistics = gap_statistics(truth, pairs, sim.value)
        known = np.abs(sim.value[pairs.first] - sim.value[pairs.second]).sum()
        found.append(statistics["gap"].sum())
        oracle.append(statistics["gap_oracle"].sum())
    assert np.mean(found) == pytest.approx(known, abs=4 * np.std(found) / 60**0.5)
    assert np.mean(oracle) < known
    assert (np.mean(oracle) > 0.85 * known) == (k == 256)
