"""The figures of a run beyond its results, against values computed by hand and against the scorer's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sveb.runs.figures import CELLS
from sveb.runs.predictions import Predictions
from sveb.runs.run_folder import read_run
from sveb.score import run_figures as figures
from sveb.score import worst_states as worst
from sveb.score.align import align
from sveb.score.bootstrap import resample
from sveb.score.state_errors import group_mse, squared_errors, truth_intervals
from sveb.score.truth import read_truth
from tests.support import suites
from tests.support.known_values import truth_of


def of_wins(problem, wins, k=10, **more):
    return truth_of(problem, [[1.0] * w + [0.0] * (k - w) for w in wins], **more)


def test_reliability_bins_hold_equal_predictions_together():
    truth = of_wins([0, 0, 1, 1], [1, 3, 7, 10])
    bins = figures.reliability(truth, np.array([0.2, 0.2, 0.6, 0.6]), resample(2))
    assert [(b.states, b.problems, b.predicted) for b in bins] == [(2, 1, 0.2), (2, 1, 0.6)]
    assert [b.truth.value for b in bins] == pytest.approx([0.2, 0.85])


def test_reliability_intervals_are_over_problems():
    truth = of_wins(np.repeat(np.arange(40), 3).tolist(), ([0] * 3 + [10] * 3) * 20)
    (bin_,) = figures.reliability(truth, np.full(120, 0.5), resample(40))
    # 40 means of 0 or 1: a standard error of .5 / sqrt(40), not of .5 / sqrt(120)
    assert (bin_.truth.high - bin_.truth.low) / 2 == pytest.approx(2.02 * 0.5 / math.sqrt(40), rel=0.1)


def test_the_cloud_counts_every_state_and_draws_those_outside_at_the_edge():
    truth = of_wins([0, 0, 0], [0, 5, 10])
    cloud = figures.cloud(truth, np.array([-3.0, 0.5, 1.5]))
    edge, middle = CELLS - 1, CELLS // 2
    assert cloud.cells == [[0, 0, 1], [middle, middle, 1], [edge, edge, 1]]
    assert (cloud.outside, cloud.whole) == (2, True)


def test_a_large_cloud_shows_a_sample_spread_over_the_predictions():
    values = np.random.default_rng(0).permutation(1000) / 1000
    cloud = figures.cloud(of_wins([0] * 1000, [5] * 1000), values)
    assert (len(cloud.sample), cloud.whole, cloud.states) == (figures.SAMPLE, False, 1000)
    steps = np.diff([state[0] for state in cloud.sample])
    assert steps.min() > 0.015
    assert steps.max() < 0.019


def test_truth_intervals_are_those_of_jeffreys():
    truth = of_wins([0, 0, 0], [0, 5, 10])
    low, high = truth_intervals(truth, np.arange(3))
    # quantiles of Beta(1/2, 21/2), Beta(11/2, 11/2) and Beta(21/2, 1/2)
    assert low == pytest.approx([0, 0.224, 0.783], abs=6e-4)
    assert high == pytest.approx([0.217, 0.776, 1], abs=6e-4)


def test_truth_intervals_of_graded_returns_use_their_spread_and_need_two():
    truth = truth_of([0, 0], [[0.25, 0.75], [0.5]])
    low, high = truth_intervals(truth, np.arange(2))
    assert low[0] == pytest.approx(0.5 - 1.959964 * 0.25)
    assert high[0] == pytest.approx(0.5 + 1.959964 * 0.25)
    assert np.isnan([low[1], high[1]]).all()


def test_order_by_gap_reaches_the_ceiling_when_right_and_falls_as_far_below_chance_when_wrong():
    truth = of_wins([0, 0, 0, 1, 1, 1], [0, 1, 10, 2, 3, 3])
    right, wrong, level = (
        figures.order_by_gap(truth, values, resample(2), "steps")
        for values in (truth.mean, -truth.mean, np.full(6, 0.3))
    )
    # steps of 0 to 1, 1 to 10, 2 to 3, 3 to 3 wins of 10: gaps .1, .9, .1, 0
    assert [(b.low, b.high, b.pairs, b.problems) for b in right] == [(0, 0.05, 1, 1), (0.1, 0.2, 2, 2), (0.4, 1, 1, 1)]
    assert right[0].agreement.value == level[0].agreement.value == 0.5
    for r, w, e in zip(right[1:], wrong[1:], level[1:], strict=True):
        assert r.agreement.value == pytest.approx(r.ceiling)
        assert w.agreement.value == pytest.approx(1 - r.ceiling)
        assert e.agreement.value == 0.5
    assert right[2].ceiling > 0.99 > right[1].ceiling > 0.5
    assert all(b.small for b in right)


def test_squared_errors_add_up_to_the_scorers_mse(tmp_path):
    suite, value = suites.walks(tmp_path / "suite")
    run = suites.write_runs(tmp_path / "runs", suite, value)
    read = read_run(run)
    truth = read_truth(suite)
    values, _ = align(Predictions.read(read.predictions), truth, suite, read.predictions)
    errors = squared_errors(truth, values, truth.rows("path"))
    assert errors.mean() == pytest.approx(read.results.metrics["mse"].value, abs=1e-10)
    mse = read_run(tmp_path / "runs" / "group_mean").results.metrics["mse"].value
    assert group_mse(truth) == pytest.approx(mse, abs=1e-10)
    problems = worst.worst_problems(suite, truth, values)
    whole = errors.sum()
    for problem in problems:
        assert problem.share == pytest.approx(problem.mse * problem.states / whole)
    assert [p.share for p in problems] == sorted((p.share for p in problems), reverse=True)


def test_the_worst_state_comes_first_with_its_question_and_the_end_of_its_prefix(tmp_path):
    long = "x" * 5000 + "END"
    suite, value = suites.walks(tmp_path / "suite", problems=4, text=long, question="y" * 3000)
    truth = read_truth(suite)
    index = truth.state_ids.index("p002/r1/s3")
    values = truth.mean.copy()
    values[index] = 1 - np.round(values[index])
    first, *others = worst.worst_states(suite, truth, values)
    assert (first.state_id, first.problem_id, first.step_index) == ("p002/r1/s3", "p002", 3)
    assert first.question.startswith("Ada has 2 beads")
    assert len(first.question) + first.question_cut == len("Ada has 2 beads and buys 2 more. How many?") + 3000
    assert first.prefix.endswith("xEND")
    assert len(first.prefix) + first.cut == len(suite.states.loc["p002/r1/s3", "text"])
    assert len(others) == worst.STATES - 1
    assert first.group_mean == suite.group_means["p002"]
    assert value.keys() == set(truth.state_ids)


def test_text_is_kept_as_it_is_and_the_histogram_counts_every_path_state(tmp_path):
    suite, _ = suites.walks(tmp_path / "suite", problems=3, text="\x1b[31m\u202e<b>")
    truth = read_truth(suite)
    found = figures.run_figures(suite, truth, np.linspace(-1, 2, len(truth.n)), "mine")
    assert all(state.prefix.endswith("\x1b[31m\u202e<b>") for state in found.states)
    assert sum(found.histogram) == len(truth.rows("path")) == found.cloud.states
    assert found.against_group_mean is not None
    assert (found.against_group_mean.a, found.against_group_mean.b) == ("mine", "group_mean")
