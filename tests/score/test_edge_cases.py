"""Inputs at the edge, each with its defined answer. Others stand next to the metric that they concern."""

import json
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sveb.common.errors import SvebError
from sveb.runs.predictions import Predictions
from sveb.score.bootstrap import resample
from sveb.score.score import evaluate, score
from sveb.score.truth import read_truth
from sveb.suite.tables import write_table
from tests.support.known_values import truth_of
from tests.support.suites import of_rows, predict


def scores(truth, values):
    values = np.asarray(values, dtype=float)
    return evaluate(truth, values, np.ones(len(values), dtype=bool), resample(len(truth.problem_ids), 50))


@pytest.fixture
def suite(tmp_path):
    states = [(f"{p}/{t}", p, f"{p}/r", "path", t, None, [1.0, 0.0, 1.0, 0.0]) for p in "ab" for t in (1, 2)]
    return of_rows(tmp_path / "suite", states, {"a": [1.0, 0.0], "b": [0.0, 1.0]})


def test_a_truth_that_is_constant_in_one_problem_counts_there_for_errors_and_not_for_ranks():
    truth = truth_of([0, 0, 0, 1, 1, 1], [[1, 0]] * 3 + [[0, 0], [1, 0], [1, 1]])
    got = scores(truth, [0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    assert got["spearman_within"].value == 1.0, "the mean over the one problem that has an order"
    assert got["mse_raw"].value == pytest.approx((0.16 + 0.09 + 0.04 + 0.01 + 0.09 + 0.49) / 6)


def test_states_with_different_numbers_of_draws_count_alike_and_bring_their_own_noise():
    truth = truth_of([0, 0, 1], [[1, 0], [1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0]])
    got = scores(truth, [0.5, 0.5, 0.5])
    noise = (0.25 / 1 + 0.375 * 0.625 / 7 + 0.25 * 0.75 / 3) / 3
    assert got["noise_floor"].value == pytest.approx(noise)
    assert got["mse"].value == pytest.approx((0 + 0.125**2 + 0.25**2) / 3 - noise)


def test_one_state_with_a_single_draw_among_others_leaves_no_corrected_figure():
    got = scores(truth_of([0, 0, 1], [[1, 0], [1], [0, 0]]), [0.5, 0.5, 0.5])
    assert "1 path states have a single graded continuation" in got["mse"].note
    assert "1 path states have no two halves" in got["order_gap"].note
    assert np.isfinite(got["mae_raw"].value)


def test_ties_everywhere_are_chance_and_the_truths_own_ties_are_nobodys_fault():
    got = scores(truth_of([0, 0, 0, 1, 1, 1], [[1, 0]] * 6), [0.5] * 6)
    assert got["spearman"].value == 0.0, "constant values order nothing, by definition"
    assert got["order_soft"].note == "no pair: the truth's draws are the same everywhere"
    assert got["order_gap"].note == (
        "the truth is constant inside problems, or the two halves of its draws order no pair alike"
    )
    assert got["order_within_coverage"].value == 0.0


@pytest.mark.parametrize("tiny", [1e-300, 5e-324])
def test_tiny_values_are_values(tiny):
    truth = truth_of([0, 0, 0, 1, 1, 1], [[0, 0], [1, 0], [1, 1]] * 2)
    got = scores(truth, [0.0, tiny, 2 * tiny, 0.0, tiny, 2 * tiny])
    assert got["spearman"].value == got["spearman_within"].value == 1.0
    assert got["mse_raw"].value == pytest.approx((0.25 + 1) / 3)
    assert got["collapse"].value == 0.0


def test_a_problem_without_path_states_is_no_problem():
    with_more = truth_of([0, 1, 2], [[1, 0], [0, 0], [1, 1]], kind=["path", "root", "path"])
    got = scores(with_more, [0.4, 0.9, 0.6])
    assert got["mse_raw"].value == pytest.approx((0.01 + 0.16) / 2)


def column(suite, path, ids, values):
    """A predictions file with a value column of any type."""
    predict(path, suite, suite.states["state_id"].tolist(), np.full(4, 0.5))
    metadata = {b"sveb": json.dumps(asdict(Predictions.read(path).info)).encode()}
    pq.write_table(pa.table({"state_id": ids, "value": values}).replace_schema_metadata(metadata), path)
    return path


def test_strings_are_refused_with_what_to_write_instead(suite, tmp_path):
    ids = suite.states["state_id"].tolist()
    path = column(suite, tmp_path / "p.parquet", ids, ["0.5", "high", "", "1"])
    with pytest.raises(SvebError, match=r"the column value holds string, not numbers; write it as float64"):
        score(suite, path)


def test_null_and_nothing_but_null_are_missing_and_whole_numbers_are_numbers(suite, tmp_path):
    ids = suite.states["state_id"].tolist()
    with pytest.raises(SvebError, match=f"1 states have no value: {ids[2]}"):
        score(suite, column(suite, tmp_path / "p.parquet", ids, [0.5, 0.5, None, 0.5]))
    with pytest.raises(SvebError, match="4 states have no value"):
        score(suite, column(suite, tmp_path / "p.parquet", ids, pa.nulls(4)))
    assert score(suite, column(suite, tmp_path / "p.parquet", ids, [0, 1, 1, 0])).metrics["bias"].value == 0.0


def test_a_missing_state_id_is_listed_as_unknown(suite, tmp_path):
    ids = suite.states["state_id"].tolist()
    path = column(suite, tmp_path / "p.parquet", [None, *ids[1:]], [0.5] * 4)
    with pytest.raises(SvebError) as error:
        score(suite, path)
    assert "1 state ids are unknown to the suite: None" in str(error.value)
    assert f"1 states have no value: {ids[0]}" in str(error.value)


def test_imported_truth_of_means_and_counts_has_its_noise_and_no_halves(tmp_path):
    states = [(f"{p}/{t}", p, f"{p}/r", "path", t, None, [1.0]) for p in "ab" for t in (1, 2, 3)]
    suite = of_rows(tmp_path / "suite", states, {"a": [1.0, 0.0], "b": [0.0, 1.0]})
    whole = suite.table("truth")
    means = dict(zip([s[0] for s in states], [0.0, 0.25, 1.0, 0.75, 0.25, 0.75], strict=True))
    columns = {
        "return_": pa.nulls(6, whole.schema.field("return_").type),
        "value_mean": pa.array([means[i] for i in whole["state_id"].to_pylist()]),
        "n_continuations": pa.array([20] * 6, pa.int32()),
    }
    for name, values in columns.items():
        whole = whole.set_column(whole.column_names.index(name), whole.schema.field(name), values)
    write_table(suite.path / "truth.parquet", whole)
    truth = read_truth(suite)
    assert truth.mean.tolist() == list(means.values())
    np.testing.assert_allclose(truth.noise, [g * (1 - g) / 19 for g in means.values()])
    got = scores(truth, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert np.isfinite(got["mse"].value)
    assert np.isfinite(got["order_steps"].value)
    assert got["spearman_ceiling"].note == "6 path states have no two halves of draws to compare"


def test_a_suite_of_no_states_is_refused(tmp_path):
    suite = of_rows(tmp_path / "s", [], {})
    with pytest.raises(SvebError, match="contains no state"):
        score(suite, predict(tmp_path / "p.parquet", suite, [], []))
