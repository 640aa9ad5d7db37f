"""kernel, probe_group and mc_shrunk: values by hand, what they learn, what they are charged."""

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.contract.problem import State
from sveb.estimators.kernel import kernel_mean
from sveb.estimators.mc_shrunk import shrunk
from sveb.estimators.probe_group import combined
from sveb.estimators.registry import find
from sveb.estimators.shared.needed_states import longest_states
from sveb.estimators.shared.pooled_points import Points, left_out, nearest, points, whitening
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions


def test_pooling_runs_over_the_response_and_the_prompts_last_token() -> None:
    """Tokens 100 | 1 2 6 after a prompt of two, of which the last is 3."""
    hidden = np.array([100, 3, 1, 2, 6], dtype=np.float32)[:, None]
    found = points(hidden, 2, np.array([0, 1, 3]))
    assert found.last[:, 0].tolist() == [3, 1, 6]
    assert found.pooled[:, 0].tolist() == [3, 2, 3]


def test_only_states_that_no_other_extends_are_read() -> None:
    tokens = [[1], [], [1, 2], [3], [1, 2]]
    states = [State(f"s{i}", np.array(t, dtype=np.int32), "", len(t), 0, "path") for i, t in enumerate(tokens)]
    longest, members = longest_states(states)
    extends = {tuple(state.token_ids.tolist()): places.tolist() for state, places in zip(longest, members, strict=True)}
    assert set(extends) == {(3,), (1, 2)}
    assert sorted(extends[3,] + extends[1, 2]) == [0, 1, 2, 3, 4]
    assert {0, 2, 4} <= set(extends[1, 2])


def test_whitened_states_have_unit_variance_within_problems_whatever_lies_between_them() -> None:
    generator = np.random.default_rng(0)
    stretch = np.diag([5.0, 1.0, 0.1, 0.0])
    groups = []
    for problem in range(30):
        rows = (generator.normal(size=(4, 10, 4)) @ stretch + [0, 0, 0, 1000.0 * problem]).astype(np.float32)
        groups.append([Points(each, each) for each in rows])
    to_white = whitening(groups, 2)
    assert to_white.shape == (4, 2)
    white = [np.concatenate([each.pooled for each in group]) @ to_white for group in groups]
    within = np.concatenate([each - each.mean(axis=0) for each in white])
    np.testing.assert_allclose(within.T @ within / len(within), np.eye(2), atol=1e-3)
    assert np.abs(to_white[0, 0]) == pytest.approx(1 / 5, rel=0.1)


def test_nearest_prefixes_by_hand() -> None:
    """From 0 and 4 to {1, 9} and {5}: squared 1, 25 and 9, 1; a weight of 2 on the axis makes them fourfold."""
    ours, theirs = np.array([[0.0], [4.0]]), [np.array([[1.0], [9.0]]), np.array([[5.0]])]
    assert nearest(ours, theirs, np.eye(1)).tolist() == [[1, 25], [9, 1]]
    assert nearest(ours, theirs, np.array([[2.0]])).tolist() == [[4, 100], [36, 4]]


def test_a_rollout_left_out_does_not_see_itself() -> None:
    group = [Points(rows, rows) for rows in (np.array([[0.0]]), np.array([[3.0]]), np.array([[7.0]]))]
    assert [found.tolist() for found in left_out(group, np.eye(1))] == [[[9, 49]], [[9, 16]], [[49, 16]]]


def test_kernel_mean_by_hand() -> None:
    """Squared distances 0 and 2 log 3 at bandwidth 1: weights 1 and 1/3; far from all, the nearer still counts most."""
    squared = np.array([[0.0, 2 * np.log(3)]])
    assert kernel_mean(squared, np.array([1.0, 0.0]), 1.0) == pytest.approx([3 / 4])
    assert kernel_mean(squared + 1e6, np.array([1.0, 0.0]), 1.0) == pytest.approx([3 / 4])
    assert kernel_mean(squared, np.array([1.0, 0.0]), 1e6) == pytest.approx([1 / 2])


def test_probe_and_group_by_hand() -> None:
    """kappa 2, f = .25, weights 1 and 1/3 on returns 1 and 0: (.5 + 1) / (2 + 4/3); far from all, f alone."""
    squared = np.array([[0.0, 2 * np.log(3)]])
    assert combined(np.array([0.25]), squared, np.array([1.0, 0.0]), 2.0, 1.0) == pytest.approx([1.5 / (10 / 3)])
    assert combined(np.array([0.25]), squared + 1e6, np.array([1.0, 0.0]), 2.0, 1.0) == pytest.approx([0.25])


def test_draws_that_agree_with_the_free_value_raise_its_worth_and_contrary_ones_lower_it() -> None:
    agree = shrunk(np.full(20, 0.5), np.full(20, 4.0), np.full(20, 8.0), [])
    assert agree == pytest.approx([0.5] * 20)
    extremes = np.array([0.0, 8.0] * 10)
    contrary = shrunk(np.full(20, 0.5), extremes, np.full(20, 8.0), [])
    assert contrary[:2] == pytest.approx([0.02, 0.98], abs=0.02)
    trusted = shrunk(np.array([0.5] * 20 + [0.9]), np.append(np.full(20, 4.0), 4.0), np.full(21, 8.0), [])
    assert trusted[-1] > 0.8


def test_one_draw_counts_one_against_four() -> None:
    """The likelihood of single draws does not depend on n, so the prior's peak decides: (4 * .5 + 1) / 5."""
    assert shrunk(np.array([0.5]), np.array([1.0]), np.array([1.0]), []) == pytest.approx([0.6])


def test_the_draws_of_shorter_states_count_for_the_worth_of_longer_ones() -> None:
    """In two calls, the second state is worth what it is worth in one call with the first."""
    free, sums, counts = np.full(2, 0.5), np.array([8.0, 6.0]), np.full(2, 8.0)
    so_far: list[np.ndarray] = []
    first = shrunk(free[:1], sums[:1], counts[:1], so_far)
    second = shrunk(free[1:], sums[1:], counts[1:], so_far)
    assert first == shrunk(free[:1], sums[:1], counts[:1], [])
    assert second == shrunk(free, sums, counts, [])[1]
    assert second != shrunk(free[1:], sums[1:], counts[1:], [])


def test_a_state_without_graded_draws_keeps_its_free_value() -> None:
    assert shrunk(np.array([0.3, 0.5]), np.array([0.0, 1.0]), np.array([0.0, 1.0]), [])[0] == pytest.approx(0.3)


def test_mc_shrunk_buys_draws_and_reads_the_group(suite, values, tmp_path) -> None:
    """Draws 1, 0, ungraded, .575 of each state, and .75 of the group: between 1.575 / 3 and .75."""
    params = {"k": 4, "base": "group_mean"}
    found = set(values(suite, "mc_shrunk", params).values())
    assert all(0.525 < value < 0.75 for value in found)
    info = Predictions.read(run(suite, "mc_shrunk", params, tmp_path)).info
    assert tuple(info.budget) == find("mc_shrunk").budget
    assert info.cost.tokens_sampled_per_state == pytest.approx(100)


@pytest.mark.parametrize("name", ["kernel", "probe_group"])
def test_the_real_policy_is_read_and_charged(suite, tmp_path, name) -> None:
    predictions = Predictions.read(run(suite, name, {}, tmp_path))
    assert tuple(predictions.info.budget) == find(name).budget
    # A problem's two probes of 3 + 8 tokens and four rollouts of 3 + 12.
    assert predictions.info.cost.tokens_read_per_state == pytest.approx((2 * 11 + 4 * 15) / 5)
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()
    if name == "kernel":  # at the bare prompt all rollouts are equally near
        roots = [v for i, v in zip(predictions.state_ids, predictions.values, strict=True) if i.endswith("root")]
        assert roots == pytest.approx([0.75] * 3)


@pytest.mark.parametrize("name", ["kernel", "probe_group"])
def test_without_training_problems_they_say_so(build_suite, tmp_path, name) -> None:
    with pytest.raises(SvebError, match=f"{name} needs "):
        run(build_suite(n_train=0), name, {}, tmp_path)
