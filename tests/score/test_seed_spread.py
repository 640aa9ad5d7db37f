"""Figures over several training seeds against plain loops: means, intervals, differences, ranks and their files."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import t as student

from sveb.common.errors import SvebError
from sveb.runs.predictions import Predictions
from sveb.runs.results import Estimate, Results
from sveb.score.alarms import alarms, half_contrast, mse_contrast
from sveb.score.board_figures import board_figures
from sveb.score.bootstrap import estimate, resample
from sveb.score.compare import paired_differences
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.rank_intervals import rank_sums, rank_values
from sveb.score.run_figures import run_figures
from sveb.score.score import evaluate, score
from sveb.score.seed_spread import half_width, widened
from sveb.score.selfcheck import _seeds
from sveb.score.slices import slices
from sveb.score.synthetic import simulate
from sveb.score.synthetic_suite import write_predictions, write_suite
from sveb.score.truth import read_truth
from sveb.suite.migrate import PREDICTIONS, RESULTS

PROBLEMS = 30


@pytest.fixture(scope="module")
def sim():
    return simulate(5, problems=PROBLEMS, rollouts=2, k=16)


@pytest.fixture(scope="module")
def trained(sim):
    """Values (3, n) of three trainings: one error for each, of problems and of states."""
    rng = np.random.default_rng(0)
    return np.stack([sim.value + rng.normal(0, 0.05) + rng.normal(0, 0.1, len(sim.value)) for _ in range(3)])


def given(values):
    return np.ones(values.shape, dtype=bool)


def in_loops(truth, values, row, metric):
    """The metric on one resample, with problems and states one by one."""
    error = noise = group = n = 0.0
    for state in range(len(truth.state_ids)):
        if truth.kind[state] == "path":
            drawn = int(row[truth.problem[state]])
            n += drawn
            error += drawn * (values[state] - truth.mean[state]) ** 2
            noise += drawn * truth.noise[state]
            group += drawn * (truth.group_mean[truth.problem[state]] - truth.mean[state]) ** 2
    return (error - noise) / n if metric == "mse" else 1 - (error - noise) / (group - noise)


def by_hand(figure: Estimate, *spreads: list[float]) -> tuple[float, float]:
    """The ends of the interval over problems, with the seeds' spread in quadrature."""
    more = 0.0
    for values in spreads:
        mean = sum(values) / len(values)
        sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
        more += (student.ppf(0.975, len(values) - 1) * sd / math.sqrt(len(values))) ** 2
    return (
        figure.value - math.sqrt((figure.value - figure.low) ** 2 + more),
        figure.value + math.sqrt((figure.high - figure.value) ** 2 + more),
    )


def ends(figure: Estimate) -> tuple[float, float]:
    return figure.low, figure.high


@pytest.mark.parametrize("metric", ["mse", "skill"])
def test_a_metric_is_the_mean_over_seeds_and_its_interval_holds_their_spread(sim, trained, metric):
    resamples = resample(PROBLEMS, replicates=40)
    replicates = [sum(in_loops(sim.truth, values, row, metric) for values in trained) / 3 for row in resamples.counts]
    over_problems = estimate(np.array(replicates), resamples, "never")
    alone = [in_loops(sim.truth, values, resamples.counts[0], metric) for values in trained]
    found = evaluate(sim.truth, trained, given(trained), resamples)[metric]
    assert found.value == pytest.approx(sum(alone) / 3, abs=1e-9)
    assert ends(found) == pytest.approx(by_hand(over_problems, alone), abs=1e-9)
    assert found.high - found.low > 1.2 * (over_problems.high - over_problems.low)


def test_every_metric_and_part_is_the_mean_of_the_seeds_alone(sim, trained):
    resamples = resample(PROBLEMS, replicates=20)
    together = evaluate(sim.truth, trained, given(trained), resamples)
    alone = [evaluate(sim.truth, values, given(values), resamples) for values in trained]
    for name in CATALOGUE:
        assert together[name].value == pytest.approx(np.mean([each[name].value for each in alone]), abs=1e-9), name
    parts, parts_alone = slices(sim.truth, trained, resamples), [slices(sim.truth, v, resamples) for v in trained]
    for part, *each in zip(parts, *parts_alone, strict=True):
        for name, figure in part.metrics.items():
            assert figure.value == pytest.approx(np.mean([one.metrics[name].value for one in each]), abs=1e-9)


def test_equal_seeds_score_as_one_and_one_row_is_one_seed(sim, trained):
    resamples = resample(PROBLEMS, replicates=100)
    one = evaluate(sim.truth, trained[0], given(trained[0]), resamples)
    assert evaluate(sim.truth, trained[:1], given(trained[:1]), resamples) == one
    same = np.stack([trained[0]] * 3)
    for name, figure in evaluate(sim.truth, same, given(same), resamples).items():
        assert (figure.value, *ends(figure)) == pytest.approx((one[name].value, *ends(one[name])), nan_ok=True), name
    assert mse_contrast(sim.truth, same) == pytest.approx(mse_contrast(sim.truth, trained[0]))
    assert half_contrast(sim.truth, same) == pytest.approx(half_contrast(sim.truth, trained[0]))
    assert alarms(sim.truth, trained) == []
    assert alarms(sim.truth, np.stack([sim.truth.mean] * 3))


def test_a_figure_that_one_seed_lacks_is_missing(sim, trained):
    values = np.stack([trained[0], np.full(len(trained[0]), 0.5)])
    found = evaluate(sim.truth, values, given(values), resample(PROBLEMS, replicates=20))
    assert math.isnan(found["adv_slope"].value)
    assert found["adv_slope"].note == CATALOGUE["adv_slope"].undefined
    assert math.isfinite(found["mse"].high)


def test_open_ends_stay_open_and_an_end_beyond_the_value_does_not_narrow_the_interval():
    assert math.isnan(widened(Estimate(1.0, math.nan, 2.0), 3.0).low)
    assert widened(Estimate(1.0, math.nan, 5.0), 3.0).high == 6.0
    assert ends(widened(Estimate(1.0, 1.5, 2.0), 1.0)) == pytest.approx((0.0, 1 + math.sqrt(2)))
    assert half_width(np.array([0.3])) == 0.0
    assert half_width(np.array([0.1, 0.3])) == pytest.approx(12.7062 * math.sqrt(0.02) / math.sqrt(2), rel=1e-5)


def test_a_difference_holds_the_spread_of_both(sim, trained):
    rng = np.random.default_rng(1)
    other = np.stack([sim.value + rng.normal(0, 0.08) + rng.normal(0, 0.1, len(sim.value)) for _ in range(5)])
    once = resample(PROBLEMS).counts[0]

    def raw(values):
        return [in_loops(sim.truth, each, once, "mse") for each in values]

    single, both = paired_differences(sim.truth, trained, other[0]), paired_differences(sim.truth, trained, other)
    for a, b, spreads, (mse, skill) in (
        (trained, other[:1], [raw(trained)], single),
        (trained, other, [raw(trained), raw(other)], both),
    ):
        rows, problem = sim.truth.rows("path"), sim.truth.problem
        gap = np.mean([(v[rows] - sim.truth.mean[rows]) ** 2 for v in a], axis=0) - np.mean(
            [(v[rows] - sim.truth.mean[rows]) ** 2 for v in b], axis=0
        )
        group = (sim.truth.group_mean[problem[rows]] - sim.truth.mean[rows]) ** 2 - sim.truth.noise[rows]
        resamples = resample(PROBLEMS)
        drawn = resamples.counts.astype(float)[:, problem[rows]]
        over_problems = estimate(drawn @ gap / drawn.sum(axis=1), resamples, "never")
        assert (mse.value, *ends(mse)) == pytest.approx((over_problems.value, *by_hand(over_problems, *spreads)))
        over_problems = estimate(-(drawn @ gap) / (drawn @ group), resamples, "never")
        scaled = [[value / group.mean() for value in each] for each in spreads]
        assert (skill.value, *ends(skill)) == pytest.approx((over_problems.value, *by_hand(over_problems, *scaled)))
    back = paired_differences(sim.truth, other, trained)[0]
    assert (back.value, *ends(back)) == pytest.approx((-both[0].value, -both[0].high, -both[0].low))


def test_ranks_hold_the_spread_of_entries_with_seeds_and_leave_the_others_as_they_are(sim, trained):
    rng = np.random.default_rng(2)
    single = {f"s{i}": sim.value + rng.normal(0, 0.1 + 0.02 * i, len(sim.value)) for i in range(4)}
    resamples = resample(PROBLEMS, replicates=300)
    values = single | {"a": trained, "b": trained[::-1] * 0.9}
    found = rank_values(sim.truth, values, resamples)
    rows, size = sim.truth.rows("path"), PROBLEMS
    errors, mse = [], {}
    for name in found.names:
        each = np.atleast_2d(values[name])[:, rows]
        squares = (each - sim.truth.mean[rows]) ** 2
        mse[name] = squares.mean(axis=1).tolist()
        errors.append(np.bincount(sim.truth.problem[rows], squares.mean(axis=0), size))
    states = np.bincount(sim.truth.problem[rows], minlength=size).astype(float)
    plain = rank_sums(found.names, np.array(errors).T, states, resamples)
    level = 0.95**0.5  # two entries have several seeds
    for i, a in enumerate(found.names):
        for j, b in enumerate(found.names):
            more = 0.0
            for name in (a, b):
                if len(mse[name]) > 1:
                    more += student.ppf((1 + level) / 2, 2) * np.std(mse[name], ddof=1) / math.sqrt(3)
            half = math.sqrt(((plain.high[i, j] - plain.low[i, j]) / 2) ** 2 + more**2)
            assert found.high[i, j] - found.difference[i, j] == pytest.approx(half, abs=1e-12)
            if not more:
                assert found.low[i, j] == plain.low[i, j]
                assert found.needed(a, b) == plain.needed(a, b) or i == j
    assert all((first <= second) for first, second in pairwise(found.rank_low))


def test_more_problems_cannot_separate_what_the_seeds_hide():
    errors = np.array([np.linspace(0.01, 0.02, 50), np.linspace(0.012, 0.021, 50)]).T
    assert rank_sums(["a", "b"], errors, np.ones(50), resample(50), np.array([0.0, 0.1])).needed("a", "b") == math.inf


def test_the_seeds_claims_of_the_self_check_hold_and_fail_without_the_spread(monkeypatch):
    assert all(claim.holds for claim in _seeds(60, lambda *_: None))
    monkeypatch.setattr("sveb.score.seed_spread.half_width", lambda *_: 0.0)
    assert not all(claim.holds for claim in _seeds(60, lambda *_: None))


@pytest.fixture(scope="module")
def scored(tmp_path_factory, sim, trained):
    """A suite, the predictions of three seeds and their results."""
    folder = tmp_path_factory.mktemp("seeds")
    suite, again = write_suite(folder / "suite", sim, k=16, group=4, seed=0)
    one = Predictions.read(write_predictions(folder / "one.parquet", suite, again.truth.state_ids, trained[0]))
    Predictions(one.info, one.state_ids, trained[0], list(trained[1:])).write(folder / "three.parquet")
    score(suite, folder / "three.parquet").write(folder / "three.json")
    return suite, folder


def test_files_hold_the_seeds_and_old_ones_are_as_they_were(scored, trained):
    suite, folder = scored
    three, one = Predictions.read(folder / "three.parquet"), Predictions.read(folder / "one.parquet")
    np.testing.assert_array_equal(three.by_seed, trained)
    assert (three.seeds, one.seeds, one.by_seed.shape) == ([0, 1, 2], [0], (1, trained.shape[1]))
    assert list(three.to_pandas().columns) == ["state_id", "value", "value_1", "value_2"]
    results, single = score(suite, folder / "three.parquet"), score(suite, folder / "one.parquet")
    raw, single_raw = json.loads((folder / "three.json").read_text()), single.to_dict()
    assert (raw["schema_version"], single_raw["schema_version"]) == (RESULTS.version, RESULTS.version - 1)
    assert "by_seed" not in single_raw
    assert (results.n_seeds, single.n_seeds) == (3, 1)
    assert "spread" in results.bootstrap["interval"]
    assert Results.read(folder / "three.json").to_dict() == results.to_dict() == raw
    for name, each in results.by_seed.values.items():
        assert each[0] == pytest.approx(single.metrics[name].value, abs=1e-11, nan_ok=True)
        assert results.by_seed.seed_sd[name] == pytest.approx(np.std(each, ddof=1), abs=1e-11, nan_ok=True)
    assert PREDICTIONS.version == 2


def test_a_state_that_one_seed_lacks_is_named(scored, trained, tmp_path):
    suite, folder = scored
    one = Predictions.read(folder / "one.parquet")
    holed = trained[1].copy()
    holed[3] = np.nan
    path = tmp_path / "holed.parquet"
    Predictions(one.info, one.state_ids, trained[0], [holed]).write(path)
    with pytest.raises(SvebError, match=f"1 states have no value: {one.state_ids[3]}"):
        score(suite, path)
    truth = read_truth(suite)
    filled = given(trained)
    filled[1:, truth.rows("path")[0]] = False
    board = board_figures(truth, {"a": trained, "b": trained[0]}, {"a": filled, "b": filled[0]}, None)
    assert (board.entries["a"].missing, board.entries["b"].missing) == (1, 0)
    coverage = evaluate(truth, trained, filled, resample(PROBLEMS, replicates=5))["coverage"].value
    assert coverage == pytest.approx(1 - 2 / filled.size)


def test_the_pictures_of_a_run_show_its_first_seed_and_its_verdict_all_of_them(scored, trained):
    suite, _ = scored
    truth = read_truth(suite)
    three, first = run_figures(suite, truth, trained, "a"), run_figures(suite, truth, trained[0], "a")
    assert three.states == first.states
    assert three.reliability == first.reliability
    mse, skill = paired_differences(truth, trained, truth.group_mean[truth.problem])
    assert (three.against_group_mean.mse, three.against_group_mean.skill) == (mse, skill)
    assert mse != first.against_group_mean.mse
