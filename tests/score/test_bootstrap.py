"""The resamples, and intervals that count what they cannot compute."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from sveb.score.bootstrap import Resamples, estimate, resample, resampled_sums
from sveb.score.metrics import mse
from sveb.score.problem_sums import problem_statistics
from sveb.score.synthetic import simulate


def test_row_0_is_the_data_and_every_resample_draws_as_many_problems():
    resamples = resample(40, replicates=300)
    counts = resamples.counts
    assert (counts[0] == 1).all()
    assert (counts[:301].sum(axis=1) == 40).all()
    assert counts[1:301].var() == pytest.approx(39 / 40, rel=0.1), "multinomial, not a permutation"
    np.testing.assert_array_equal(counts, resample(40, replicates=300).counts)


@pytest.mark.parametrize("problems", [1, 2, 40, 1234])
def test_the_last_rows_leave_out_each_problem_once_in_groups_of_equal_size(problems):
    left_out = 1 - resample(problems, replicates=3).counts[4:].astype(int)
    assert len(left_out) == min(problems, 200)
    assert (left_out.sum(axis=0) == 1).all()
    assert np.ptp(left_out.sum(axis=1)) <= 1


def test_sums_equal_those_of_the_explicitly_resampled_problems(monkeypatch):
    monkeypatch.setattr("sveb.score.bootstrap._CHUNK_CELLS", 9 * 100)
    rng = np.random.default_rng(0)
    statistics = {"a": rng.normal(size=9), "b": rng.normal(size=9)}
    resamples = resample(9, replicates=700)
    sums = resampled_sums(statistics, resamples)
    for r in (0, 1, 699, 705):
        chosen = np.repeat(np.arange(9), resamples.counts[r])
        assert sums["a"][r] == pytest.approx(statistics["a"][chosen].sum(), abs=1e-12)
        assert sums["b"][r] == pytest.approx(statistics["b"][chosen].sum(), abs=1e-12)


def test_ends_agree_with_scipys_bca_on_a_skewed_mean():
    """scipy resamples on its own and does not widen by Student's t: 400 clusters make that a hair's breadth."""
    sample = np.random.default_rng(3).lognormal(size=400)
    resamples = resample(400, replicates=9999)
    ours = estimate(resampled_sums({"x": sample}, resamples)["x"] / 400, resamples, "never")
    theirs = bootstrap((sample,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.value == pytest.approx(sample.mean(), abs=1e-11)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)
    assert ours.high - ours.value > 1.05 * (ours.value - ours.low), "longer where the tail is"


def hundred(replicates: int = 2000) -> Resamples:
    return resample(100, replicates=replicates)


def values(point: float, replicates: np.ndarray) -> np.ndarray:
    """With a jackknife that shows no skew."""
    return np.concatenate([[point], replicates, np.tile([-1.0, 1.0], 50)])


def test_ends_by_hand_where_nothing_is_to_correct():
    result = estimate(values(999.5, np.arange(2000.0)[::-1]), hundred(), "never")
    # t(99) = 1.98422, times sqrt(100/99) = 1.99421, the quantiles .023063 and .976937 of 2000 ordered replicates:
    # 0-based places 46.10 and 1952.90, taken outwards
    assert (result.value, result.low, result.high, result.note) == (999.5, 46.0, 1953.0, None)


def test_a_point_off_the_replicates_median_shifts_the_ends_unless_told_not_to():
    off = values(899.5, np.arange(2000.0))
    # 45 % of the replicates lie below: z0 = -.12566, both levels move down by 2 z0
    corrected = estimate(off, hundred(), "never")
    assert (corrected.low, corrected.high) == (24.0, 1918.0)
    assert estimate(off, hundred(), "never", corrected=False).low == 46.0


def test_few_undefined_replicates_widen_the_interval_and_are_counted():
    replicates = np.arange(2000.0)
    replicates[985:1015] = np.nan
    result = estimate(values(999.5, replicates), hundred(), "no such thing")
    assert (result.low, result.high) == (16.0, 1983.0)
    assert result.note == "30 of 2000 replicates undefined: no such thing"


def test_many_undefined_replicates_leave_no_interval():
    replicates = np.where(np.arange(2000) % 10 == 0, np.nan, 1.0)
    result = estimate(values(1.0, replicates), hundred(), "why")
    assert result.value == 1.0
    assert np.isnan([result.low, result.high]).all()
    assert "200 of 2000" in result.note


def test_unbounded_replicates_open_one_end_only():
    replicates = np.concatenate([np.full(200, np.inf), np.arange(1800.0)])
    result = estimate(values(899.5, replicates), hundred(), "unbounded")
    assert result.low == 24.0, "45 % below, as above"
    assert np.isnan(result.high)
    assert "200 of 2000" in result.note


def test_an_undefined_point_has_no_interval_and_one_problem_has_none():
    assert estimate(values(np.nan, np.ones(2000)), hundred(), "why").note == "why"
    assert np.isnan(estimate(values(np.inf, np.ones(2000)), hundred(), "why").value)
    lone = estimate(np.full(5, 0.2), resample(1, replicates=3), "why")
    assert lone.value == 0.2
    assert np.isnan([lone.low, lone.high]).all()
    assert "one problem" in lone.note


def test_two_problems_have_an_interval_that_spans_all_replicates():
    resamples = resample(2, replicates=100)
    sums = resampled_sums({"x": np.array([1.0, 3.0])}, resamples)
    result = estimate(sums["x"], resamples, "never")
    assert (result.low, result.value, result.high) == (2.0, 4.0, 6.0)


def test_intervals_for_mse_cover_its_true_value():
    """Problems drawn anew 300 times: the expected mse over all problems lies inside about 95 % of the intervals."""
    noise, replications, covered = 0.15, 300, 0
    rng = np.random.default_rng(5)
    resamples = resample(60, replicates=1000)
    for seed in range(replications):
        sim = simulate(seed, problems=60, rollouts=1, k=8)
        shift = rng.normal(0, noise, 60)[sim.truth.problem]  # shared by the states of a problem
        guess = sim.value + shift
        statistics = problem_statistics(sim.truth, guess, np.ones(len(guess), dtype=bool))
        result = estimate(mse(resampled_sums(statistics, resamples)), resamples, "never")
        covered += result.low <= noise**2 <= result.high
    assert 0.92 <= covered / replications <= 0.98, "95 %, give or take 2.4 binomial standard errors"


def test_rounding_errors_do_not_decide_which_replicates_are_tied() -> None:
    """The last digit of a sum depends on the order of its rows; BCa counts the replicates that equal the value."""
    resamples = resample(20)
    tied = np.full(len(resamples.counts), 1 / 3)
    tied[1:400], tied[400:500] = 0.2, 0.6
    noise = np.random.default_rng(0).uniform(-1e-15, 1e-15, len(tied))
    assert estimate(tied, resamples, "") == estimate(tied + noise, resamples, "")
