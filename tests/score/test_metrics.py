"""The metrics: hand-computed goldens, statistical claims on a policy whose values are known, edge cases."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.common.posterior import probability_greater_binary
from sveb.score.bootstrap import resample
from sveb.score.calibration import equal_mass_bins
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.score import evaluate
from sveb.score.synthetic import redrawn, simulate
from tests.support.known_values import reordered, truth_of

RANK_METRICS = [n for n in CATALOGUE if n.startswith(("spearman", "order_", "top1"))]


def scores(truth, values, replicates=20):
    values = np.asarray(values, dtype=float)
    resamples = resample(len(truth.problem_ids), replicates=replicates)
    return evaluate(truth, values, np.ones(len(values), dtype=bool), resamples)


def points(truth, values):
    return {name: e.value for name, e in scores(truth, values, replicates=1).items()}


GOLDEN = truth_of(
    [0, 0, 1, 1], [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], group_mean=[0.25, 0.75]
)  # g = .25 .75 .5 1; s2 = g(1-g)/3 = .0625 .0625 1/12 0
VALUES = np.array([0.5, 0.5, 0.75, 0.5])  # errors .25 -.25 .25 -.5


def test_a_small_table_by_hand():
    got = points(GOLDEN, VALUES)
    floor = (0.0625 + 0.0625 + 1 / 12) / 4
    mse = (0.0625 + 0.0625 + 0.0625 + 0.25) / 4 - floor
    group = (0 + 0.25 + 0.0625 + 0.0625) / 4 - floor
    variance = (0.375**2 + 0.125**2 + 0.125**2 + 0.375**2) / 4 - floor
    within_truth = (2 * 0.25**2 + 2 * 0.25**2) - (0.0625 + 1 / 24)
    within_error = (2 * 0.25**2 + 2 * 0.375**2) - (0.0625 + 1 / 24)
    halves = 2 / np.sqrt(3 * 4.5)  # first .5 1 1 1, second 0 .5 0 1: ranks 1 3 3 3 against 1.5 3 1.5 4
    ahead = probability_greater_binary(np.array([1, 2, 3, 4]), np.full(4, 4))
    q01, q23 = ahead[0, 2], ahead[1, 3]
    expected = {
        "spearman_ceiling": np.sqrt(2 * halves / (1 + halves)),
        "spearman_of_ceiling": -1 / np.sqrt(15) / np.sqrt(2 * halves / (1 + halves)),
        # .5 .5 is a tie and earns nothing, .75 .5 loses g's .5; an oracle on halves earns .5 and a tie
        "order_gap": -0.5 / 0.5,
        "order_soft": 0.5 + 0.5 * (0.5 + q23 - 1) / (1 - q01 + 1 - q23 - 1),
        "noise_floor": floor,
        "mse_raw": 0.4375 / 4,
        "mae_raw": 1.25 / 4,
        "bias": -0.25 / 4,
        "mse": mse,
        "mse_between": (0 + 2 * 0.125**2 - (0.0625 + 1 / 24)) / 4,
        "mse_within": within_error / 4,
        "skill": 1 - mse / group,
        "r2": 1 - mse / variance,
        "r2_within": 1 - within_error / within_truth,
        "collapse": 2 * 0.125**2 / within_truth,
        "worth": (0.25 + 0.25 + 1 / 3 + 0) / 4 / mse,
        "spearman": -1 / np.sqrt(15),  # ranks 2 2 4 2 against 1 3 2 4, centred: -1 / sqrt(3 * 5)
        "ece": (0.5 + 0.25) / 4,  # bins {.5, .5, .5} and {.75}: sums of v - g are -.5 and .25
        "coverage": 1.0,
    }
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-11), name


def test_bins_hold_equal_mass_and_keep_ties_together():
    assert equal_mass_bins(np.arange(20.0)[::-1]).tolist() == [k for k in range(9, -1, -1) for _ in range(2)]
    assert equal_mass_bins(np.array([0.0, 1.0, 1.0, 2.0])).tolist() == [1, 5, 5, 8]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_the_parts_of_mse_add_up(seed):
    truth = simulate(seed % 50, problems=8, rollouts=1, k=4).truth
    values = np.random.default_rng(seed).normal(0.5, 1, len(truth.n))
    got = points(truth, values)
    assert got["mse_between"] + got["mse_within"] == pytest.approx(got["mse"], abs=1e-11)
    assert got["mse_raw"] - got["noise_floor"] == pytest.approx(got["mse"], abs=1e-11)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_states_and_the_names_of_rollouts_do_not_matter(seed):
    """Among tied values two replicates may differ in the last bit alone, and the end of an interval jumps: there only
    the figures themselves are compared."""
    rng = np.random.default_rng(seed)
    truth = simulate(7, problems=8, rollouts=2, k=16).truth
    tied, free = rng.random(6)[rng.integers(0, 6, len(truth.n))], rng.random(len(truth.n))
    order = rng.permutation(len(truth.n))
    shuffled = reordered(truth, order)
    shuffled = replace(shuffled, rollout=shuffled.rollout * 31 % 101)
    for values, parts in ((tied, ["value"]), (free, ["value", "low", "high"])):
        before, after = scores(truth, values), scores(shuffled, values[order])
        for name, estimate in before.items():
            for part in parts:
                assert getattr(after[name], part) == pytest.approx(getattr(estimate, part), abs=1e-9, nan_ok=True), name


@settings(max_examples=20)
@given(st.permutations(range(8)), st.integers(0, 2**32 - 1))
def test_the_names_of_problems_do_not_matter(names, seed):
    truth = simulate(5, problems=8, rollouts=2, k=16).truth
    values = np.random.default_rng(seed).uniform(size=len(truth.n))
    names = np.array(names)
    renamed = replace(truth, problem=names[truth.problem], group_mean=truth.group_mean[np.argsort(names)])
    before, after = points(truth, values), points(renamed, values)
    for name, value in before.items():
        assert after[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_rank_metrics_do_not_change_under_monotone_transforms(seed):
    truth = simulate(3, problems=8, rollouts=2, k=64).truth
    values = np.random.default_rng(seed).integers(-4, 5, len(truth.n)) / 4
    plain, warped = points(truth, values), points(truth, np.exp(3 * values) - 7)
    for name in RANK_METRICS:
        assert warped[name] == plain[name], name


@pytest.mark.parametrize("k", [2, 4, 16])
def test_mse_is_unbiased_however_few_the_draws(k):
    """150 draws of the truth for the same states: the mean corrected mse equals the error against V itself."""
    rng = np.random.default_rng(k)
    sim = simulate(0, problems=30, rollouts=1, k=k)
    values = sim.value + rng.normal(0.02, 0.1, len(sim.value))
    path = sim.truth.kind == "path"
    corrected = []
    for _ in range(150):
        truth = redrawn(sim, k, rng).truth
        corrected.append(points(truth, values)["mse"])
    standard_error = np.std(corrected) / np.sqrt(150)
    assert np.mean(corrected) == pytest.approx(((values - sim.value)[path] ** 2).mean(), abs=4 * standard_error)
    assert 4 * standard_error < 0.2 * points(truth, values)["noise_floor"], "fine enough to see a missing correction"


def test_a_perfect_estimator_is_at_zero_within_its_interval():
    sim = simulate(11, problems=150, k=16)
    got = scores(sim.truth, sim.value, replicates=500)
    assert got["mse"].low < 0 < got["mse"].high
    assert got["skill"].low < 1 < got["skill"].high
    assert got["r2"].low < 1 < got["r2"].high
    assert got["collapse"].low < 1 < got["collapse"].high


@pytest.mark.parametrize("k", [1, 4, 9])
def test_the_mean_of_k_rollouts_is_worth_k(k):
    sim = simulate(21, problems=400, rollouts=4, k=32)
    estimate = np.random.default_rng(k).binomial(k, sim.value) / k
    got = scores(sim.truth, estimate, replicates=300)["worth"]
    assert got.value == pytest.approx(k, rel=0.08)
    assert got.low < k < got.high


def test_the_group_mean_has_skill_0_exactly_and_nothing_within_problems():
    sim = simulate(4, problems=37, k=16)
    got = scores(sim.truth, sim.truth.group_mean[sim.truth.problem], replicates=200)
    assert (got["skill"].value, got["skill"].low, got["skill"].high) == (0.0, 0.0, 0.0)
    for name, value in (("r2_within", 0.0), ("collapse", 0.0), ("spearman_within", 0.0), ("order_steps", 0.5)):
        assert got[name].value == pytest.approx(value, abs=1e-12), name


def test_constant_predictions_order_nothing():
    sim = simulate(4, problems=20, k=64)
    got = points(sim.truth, np.full(len(sim.value), 0.3))
    assert got["spearman"] == 0.0
    assert got["spearman_within"] == 0.0
    assert got["order_steps"] == got["order_siblings"] == 0.5
    assert got["top1_siblings"] == pytest.approx(1 / 3, abs=0.15), "chance: one of three siblings"
    undefined = {name for name, value in got.items() if np.isnan(value)}
    assert undefined == {"adv_slope", "adv_slope_siblings"}


def test_a_constant_truth_has_no_r2_and_says_why():
    got = scores(truth_of([0, 0, 0, 1, 1, 1], [[0, 0]] * 6), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    for name in ("r2", "r2_within", "collapse", "spearman", "spearman_within", "order_steps"):
        assert np.isnan(got[name].value), name
        assert got[name].note, name
    assert "does not vary" in got["r2"].note
    assert got["mse"].value == pytest.approx(np.mean(np.arange(1, 7) ** 2) / 100)


def test_a_single_draw_leaves_the_raw_metrics_and_refuses_the_corrected():
    got = scores(truth_of([0, 0, 1, 1], [[1], [0], [1], [1]]), [0.5, 0.5, 0.5, 1.0])
    assert got["mse_raw"].value == pytest.approx(0.1875)
    for name in ("mse", "skill", "r2", "r2_within", "collapse", "worth", "noise_floor", "mse_within"):
        assert np.isnan(got[name].value)
        assert "4 path states have a single graded continuation" in got[name].note
    assert not np.isnan(got["spearman"].value)


def test_one_state_a_problem_has_no_within_metrics():
    got = scores(truth_of([0, 1, 2], [[1, 0], [1, 1], [0, 0]]), [0.4, 0.9, 0.2])
    assert got["spearman"].value == 1.0
    assert np.isnan([got[n].value for n in ("r2_within", "collapse", "spearman_within", "order_steps")]).all()
    assert got["order_steps"].note == "no rollout has path states at two consecutive steps"
    assert got["mse_within"].value == 0.0


def test_one_problem_has_points_and_no_intervals():
    got = scores(truth_of([0, 0, 0], [[1, 0], [1, 1], [0, 0]]), [0.4, 0.9, 0.2])
    assert np.isfinite(got["mse"].value)
    assert np.isnan([got["mse"].low, got["mse"].high]).all()
    assert "one problem" in got["mse"].note


def test_pairs_that_no_draw_resolves_leave_no_order_but_a_coverage_of_0():
    got = scores(truth_of([0, 0, 1, 1], [[1, 0], [0, 1], [1, 0], [0, 1]]), [0.1, 0.2, 0.3, 0.4])
    assert np.isnan(got["order_steps"].value)
    assert "no resolved pair" in got["order_steps"].note
    assert got["order_steps_coverage"].value == 0.0


def test_without_path_states_only_the_siblings_are_scored():
    truth = truth_of([0, 0], [[0] * 64, [1] * 64], kind="sibling", parent=[0, 0])
    got = scores(truth, [0.1, 0.2])
    assert got["order_siblings"].value == 1.0
    assert got["top1_siblings"].value == 1.0
    for name in ("mse", "spearman", "ece", "skill"):
        assert np.isnan(got[name].value)
        assert got[name].note == "no path states"


def test_values_outside_0_and_1_are_scored_as_they_are():
    got = points(GOLDEN, VALUES + 2)
    assert got["bias"] == pytest.approx(2 - 0.0625)
    assert got["spearman"] == points(GOLDEN, VALUES)["spearman"]


def test_huge_values_overflow_with_a_reason_and_keep_their_ranks():
    got = scores(GOLDEN, VALUES * 1e200)
    assert np.isnan(got["mse"].value)
    assert "overflow" in got["mse"].note
    assert got["spearman"].value == points(GOLDEN, VALUES)["spearman"]
    assert points(GOLDEN, VALUES * 1e12)["mse_raw"] == pytest.approx((VALUES**2).mean() * 1e24, rel=1e-6)


def test_problems_without_context_rollouts_leave_no_skill():
    truth = truth_of([0, 0, 1], [[1, 0], [1, 1], [0, 0]], group_mean=[0.5, np.nan])
    got = scores(truth, [0.4, 0.9, 0.2])
    assert got["skill"].note == "1 problems have no graded context rollout"
    assert np.isfinite(got["mse"].value)


def test_worth_needs_a_positive_mse():
    perfect = scores(GOLDEN, GOLDEN.mean)
    assert np.isnan(perfect["worth"].value)
    assert "unbounded" in perfect["worth"].note


def test_states_whose_continuations_all_failed_to_be_graded_are_left_out():
    more = truth_of([0, 0, 0, 1, 1], [[1, 0, 0, 0], [1, 1, 1, 0], [np.nan] * 4, [1, 1, 0, 0], [1, 1, 1, 1]],
                    group_mean=[0.25, 0.75])  # fmt: skip
    got, expected = points(more, np.insert(VALUES, 2, 0.9)), points(GOLDEN, VALUES)
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_the_catalogue_describes_every_metric_it_computes():
    got = scores(GOLDEN, VALUES)
    assert list(got) == list(CATALOGUE)
    for name, metric in CATALOGUE.items():
        assert metric.name == name
        assert metric.low < metric.high
        assert metric.title
        assert len(metric.definition) > 10
