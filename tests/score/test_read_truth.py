"""What the truth's tables become, and which contradictions are refused."""

import numpy as np
import pyarrow as pa
import pytest

from sveb.common.errors import SvebError
from sveb.score.returns import moments
from sveb.score.truth import read_truth
from sveb.suite.tables import write_table
from tests.support.suites import of_rows

STATES = [
    ("ä/root", "问题", None, "root", 0, None, [1.0, 1.0, 0.0, 0.0]),
    ("ä/1", "问题", "r1", "path", 1, "ä/root", [1.0, None, 1.0, 0.0]),
    ("b/1", "b", "r2", "path", 1, "b/root", [None, None, None, None]),
    ("ä/1/s", "问题", None, "sibling", 2, "ä/1", [1.0, 1.0, 1.0, 1.0]),
]


def test_moments_of_a_hand_computed_table_leave_missing_returns_out():
    returns = np.array([1.0, 0.0, 1.0, 0.0, np.nan, 1.0, 1.0, 0.25])
    total, mean, n, noise = moments(returns, np.array([0, 4, 6, 6, 8]))
    assert n.tolist() == [4, 1, 0, 2]
    assert total.tolist() == [2.0, 1.0, 0.0, 1.25]
    np.testing.assert_array_equal(mean, [0.5, 1.0, np.nan, 0.625])
    # 4 draws: sample variance (4 * .25) / 3, divided by 4; 2 draws: .28125 / 2
    np.testing.assert_allclose(noise, [1 / 12, np.nan, np.nan, 0.140625])


def test_truth_is_aligned_to_the_states_and_knows_its_missing_returns(tmp_path):
    truth = read_truth(of_rows(tmp_path, STATES, {"问题": [1.0, 0.0, None], "b": [None]}))
    assert truth.state_ids == ["ä/root", "ä/1", "b/1", "ä/1/s"]
    assert [truth.problem_ids[i] for i in truth.problem] == ["问题", "问题", "b", "问题"]
    assert truth.n.tolist() == [4, 3, 0, 4]
    np.testing.assert_allclose(truth.mean, [0.5, 2 / 3, np.nan, 1.0])
    np.testing.assert_allclose(truth.noise, [1 / 12, 1 / 9, np.nan, 0.0])
    assert truth.rows("path").tolist() == [1], "a state without a graded continuation has no truth"
    assert truth.missing_returns == 5
    assert truth.binary
    np.testing.assert_array_equal(truth.group_mean, [np.nan, 0.5])


def test_draws_for_sale_are_told_apart_from_the_truths_and_may_be_absent(tmp_path):
    draws = {"ä/1": [1.0, 0.0, None, 1.0], "b/1": [None]}
    truth = read_truth(of_rows(tmp_path, STATES, {"b": [1.0]}, draws=draws))
    np.testing.assert_allclose(truth.pool_mean, [np.nan, 2 / 3, np.nan, np.nan])
    assert truth.pool_n.tolist() == [0, 3, 0, 0]


def test_the_position_of_a_path_state_is_the_share_of_its_rollouts_steps(tmp_path):
    truth = read_truth(of_rows(tmp_path, STATES, {"b": [1.0]}, tier="easy"))
    np.testing.assert_allclose(truth.position, [np.nan, 0.1, 0.1, np.nan])
    assert truth.n_tokens.tolist() == [1, 1, 1, 1]
    assert truth.tier == ["easy", "easy"]


def test_returns_between_0_and_1_are_not_called_binary(tmp_path):
    states = [("a", "p", "r", "path", 1, None, [0.5, 1.0])]
    assert not read_truth(of_rows(tmp_path, states, {"p": [1.0]})).binary


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([STATES[1], STATES[1]], "more than once"),
        ([], "contains no state"),
        ([("s", "p", None, "sibling", 1, None, [1.0])], "parent_state_id"),
        ([("s", "p", None, "path", 1, None, [1.0])], "rollout_id"),
    ],
)
def test_a_suite_that_contradicts_itself_is_refused(tmp_path, states, message):
    with pytest.raises(SvebError, match=message):
        read_truth(of_rows(tmp_path, states, {"p": [1.0]}))


def test_a_state_without_truth_row_is_named(tmp_path):
    suite = of_rows(tmp_path, STATES, {"b": [1.0]})
    path = tmp_path / "truth.parquet"
    whole = suite.table("truth")
    write_table(path, whole.filter(pa.compute.not_equal(whole["state_id"], "ä/1")))
    with pytest.raises(SvebError, match=r"1 states have no row in truth.parquet, such as 'ä/1'"):
        read_truth(suite)
