"""Hista by hand: running means, distances, nodes, votes; and its batched distances against plain ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.contract.problem import Group, Problem, State
from sveb.estimators.hista import Hista, neighbours, node_offsets, weighted_votes
from sveb.estimators.registry import find
from sveb.estimators.shared import prefix_distances as prefixes
from sveb.estimators.shared.needed_states import unfinished_ends
from sveb.estimators.shared.prefix_distances import (
    distances_after,
    kept_vectors,
    prefix_distances,
    prepared,
    running_means,
)
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def test_running_means_by_hand() -> None:
    """alpha = 1/2 over 2, 4, 8: (1)/.5, (.5 + 2)/.75, (1.25 + 4)/.875."""
    found = running_means(column(2, 4, 8), 0.5, 1)
    assert found[:, 0] == pytest.approx([2, 2.5 / 0.75, 6])


def test_the_published_running_mean_starts_too_long() -> None:
    """e = 2, 3, 5.5, divided by .5, .75, .875."""
    found = running_means(column(2, 4, 8), 0.5, 1, biased=True)
    assert found[:, 0] == pytest.approx([4, 4, 5.5 / 0.875])


@given(st.integers(1, 200), st.integers(1, 7), st.sampled_from([0.0, 0.3, 0.7, 0.99]), st.booleans())
@settings(max_examples=50)
def test_running_means_in_blocks_are_those_token_by_token(n: int, stride: int, alpha: float, biased: bool) -> None:
    hidden = np.random.default_rng(n).normal(size=(n, 2)).astype(np.float32)
    mean = hidden[0].astype(float) if biased else np.zeros(2)
    expected = []
    for t, vector in enumerate(hidden):
        mean = alpha * mean + (1 - alpha) * vector
        if t % stride == 0:
            expected.append(mean / (1 - alpha ** (t + 1)))
    found = running_means(hidden, alpha, stride, biased)
    assert found.shape == (kept_vectors(n, stride), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_prefix_distances_by_hand() -> None:
    """[0 1 5] to [0 2]: least distances 0, 1, 3. [0 1] to [0 2], as long: 0, 1. [0] to [0 2]: of 0 and 2, 0 and 2."""
    (found,) = prefix_distances(column(0, 1, 5), np.array([3, 2, 1]), prepared([column(0, 2)], [np.array([1, 2])]))
    np.testing.assert_allclose(found, [[6 / 3, 4 / 3], [1 / 2, 1 / 2], [0, 1]])


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_batched_distances_are_the_plain_ones(seed: int) -> None:
    """Also where memory allows one rollout at a time."""
    generator = np.random.default_rng(seed)

    def vectors() -> np.ndarray:
        return generator.normal(size=(generator.integers(1, 9), 3)).astype(np.float32)

    own, others = vectors(), [vectors() for _ in range(4)]
    sizes, nodes = np.arange(1, len(own) + 1), [np.arange(1, len(other) + 1) for other in others]
    found = prefix_distances(own, sizes, prepared(others, nodes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_MEMORY", 1)
        chunked = prefix_distances(own, sizes, prepared(others, nodes))
    for other, table, again in zip(others, found, chunked, strict=True):
        np.testing.assert_allclose(table, again, atol=1e-6)
        for m in sizes:
            for n in range(1, len(other) + 1):
                longer, shorter = (own[:m], other[:n]) if m >= n else (other[:n], own[:m])
                plain = np.linalg.norm(longer[:, None] - shorter[None], axis=2).min(axis=1).mean()
                assert table[m - 1, n - 1] == pytest.approx(plain, abs=1e-5)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_distances_that_go_on_from_a_shorter_prefix_are_those_that_begin_anew(seed: int) -> None:
    """Also where a longer prefix has no new element, and where memory allows one rollout at a time."""
    generator = np.random.default_rng(seed)
    own = generator.normal(size=(12, 3)).astype(np.float32)
    others = [generator.normal(size=(generator.integers(1, 9), 3)).astype(np.float32) for _ in range(4)]
    nodes = [np.arange(1, len(other) + 1) for other in others]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_MEMORY", int(generator.choice([1, 2**26])))
        side_by_side = prepared(others, nodes)
    reached = None
    for end in np.sort(generator.integers(1, len(own) + 1, size=5)):
        found, reached = distances_after(reached, own[:end], np.array([end]), side_by_side)
        assert (len(reached.begin) if reached else 0) == end // 2 * 2
        assert reached is None or reached.begins(own, end)
        anew = np.concatenate(prefix_distances(own, np.array([end]), side_by_side), axis=1)
        np.testing.assert_allclose(found, anew, atol=1e-6)


def test_nodes_lie_at_the_start_every_so_many_tokens_and_at_the_end() -> None:
    assert node_offsets(120, 50).tolist() == [0, 50, 100, 120]
    assert node_offsets(100, 50).tolist() == [0, 50, 100]
    assert node_offsets(0, 50).tolist() == [0]
    assert kept_vectors([0, 1, 5, 6], 5).tolist() == [0, 1, 1, 2]


def test_k_falls_linearly_along_the_response_and_no_further() -> None:
    assert neighbours(np.array([0, 0.5, 1, 3]), 66, 6).tolist() == [66, 36, 6, 6]


def test_votes_by_hand() -> None:
    """The nearest three are 2, 5, 10, clamped 5, 5, 10: (1/5 + 1/5) / (1/5 + 1/5 + 1/10); squared 2/25 : 1/100."""
    distances, returns = np.array([[2.0, 10.0, 5.0, 20.0]]), np.array([1.0, 0.0, 1.0, 0.0])
    assert weighted_votes(distances, returns, np.array([3]), 5.0, 1.0) == pytest.approx([0.8])
    assert weighted_votes(distances, returns, np.array([3]), 5.0, 2.0) == pytest.approx([8 / 9])
    assert weighted_votes(distances, returns, np.array([2]), 5.0, 1.0) == pytest.approx([1.0])


def test_states_of_training_rollouts_end_before_the_response_does() -> None:
    tokens = np.arange(12, dtype=np.int32)
    group = Group(np.ones(2), ["", ""], [tokens, tokens[:9]], [np.array([4, 8, 12]), np.array([4, 8])])
    assert unfinished_ends(group, 0).tolist() == [0, 4, 8]
    assert unfinished_ends(group, 1).tolist() == [0, 4, 8]


class TokensAsStates:
    """A policy whose hidden state at a token is the token itself, in one dimension."""

    def token_hidden_states(self, states, _layer):
        return (column(0, *state.token_ids) for state in states)

    def rollout_token_hidden_states(self, problem, _layer):
        return (column(0, *tokens) for tokens in problem.group.token_ids)


def problem(rollouts: list[list[int]], returns: list[float], states: list[list[int]]) -> Problem:
    ids = [np.array(tokens, dtype=np.int32) for tokens in rollouts]
    group = Group(np.array(returns), [""] * len(ids), ids, [np.arange(1, len(one) + 1) for one in ids])
    made = [State(f"s{i}", np.array(s, dtype=np.int32), "", len(s), 0, "path") for i, s in enumerate(states)]
    return Problem("test-00000", "?", np.array([0], dtype=np.int32), made, 0, lambda: group, lambda: "")


def hista(**params: object) -> Hista:
    """Without smoothing, every vector kept, a node every two tokens."""
    estimator = Hista(**({"alpha": 0.0, "stride": 1, "node_every": 2} | params)).fit([])
    estimator._policy = TokensAsStates()
    return estimator


def test_official_rounds_the_state_down_and_lets_every_node_vote() -> None:
    """[0] is at 0 from both starts, at 2/3 from [0 1 1] and 6 from [0 9 9]; clamped 5 5 5 6."""
    found = hista(variant="official", scaled=False).predict(problem([[1, 1], [9, 9]], [1.0, 0.0], [[1]]))
    assert found == pytest.approx([(2 / 5) / (3 / 5 + 1 / 6)])


def test_standard_takes_the_exact_state_and_one_vote_a_rollout() -> None:
    """[0 1] is at 0 from [0 1 1]; from [0 9 9] at 16/3, but from its start at 1/2: weights 10 and 2."""
    found = hista(min_distance=0.1).predict(problem([[1, 1], [9, 9]], [1.0, 0.0], [[1]]))
    assert found == pytest.approx([10 / 12])


def test_official_k_follows_the_final_length_where_the_response_is_in_the_group() -> None:
    """[4 4] is half of its own response: k = 2, at 0 from itself and 2/3 from [5 5]; weights 10 and 3/2.

    [5 5], in none of them, is as long as they are on the mean: k = 1, and [5 6] covers it.
    """
    estimator = hista(variant="official", max_k=3, min_k=1, min_distance=0.1, scaled=False)
    inside = problem([[4, 4, 7, 9], [5, 5], [90, 90]], [1.0, 0.0, 0.0], [[4, 4]])
    assert estimator.predict(inside) == pytest.approx([10 / 11.5])
    outside = problem([[4, 4], [5, 6], [90, 90]], [0.0, 1.0, 0.0], [[5, 5]])
    assert estimator.predict(outside) == pytest.approx([1.0])


def test_the_official_floor_is_scaled_to_the_policys_hidden_norm() -> None:
    """Hidden states twice as long are twice as far apart: the same values with a scaled floor, others with a fixed one.

    The published width's own norm, sqrt(1536), leaves the constant as it is.
    """
    rollouts, returns, states = [[1, 2], [5, 9], [3, 3]], [1.0, 0.0, 1.0], [[1], [5], [5, 9]]
    twice = (
        [[2 * token for token in each] for each in rollouts],
        returns,
        [[2 * token for token in each] for each in states],
    )
    found = {
        scaled: [
            hista(variant="official", min_distance=5.0, scaled=scaled).predict(problem(*each))
            for each in ((rollouts, returns, states), twice)
        ]
        for scaled in (True, False)
    }
    assert found[True][0] == pytest.approx(found[True][1])
    assert found[False][0] != pytest.approx(found[False][1])


def test_a_states_value_does_not_depend_on_the_others_asked_for() -> None:
    generator = np.random.default_rng(1)
    rollouts = generator.integers(0, 9, (6, 7)).tolist()
    states = [[], [3], [3, 4], [3, 4, 5, 5], [3, 1], [8, 8, 8]]
    returns = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    for variant in ("official", "standard"):
        together = hista(variant=variant, min_distance=0.5).predict(problem(rollouts, returns, states))
        alone = [hista(variant=variant, min_distance=0.5).predict(problem(rollouts, returns, [s]))[0] for s in states]
        assert together == pytest.approx(alone)
        assert len(set(np.round(together, 9))) > 3


def test_standard_learns_what_tells_the_training_rollouts_apart() -> None:
    """Rollouts of 1s succeed and of 3s fail: a distance clamped at 5 cannot see it, a smaller one can."""
    train = [problem([[1] * 6, [1] * 6, [3] * 6, [3] * 6], [1.0, 1.0, 0.0, 0.0], []) for _ in range(3)]
    estimator = hista()
    assert estimator.min_distance_ == 5.0
    assert estimator.loo_mse_ is None
    estimator.fit(train)
    assert estimator.min_distance_ < 5
    assert estimator.loo_mse_ < 0.15  # at the prompt nothing is known: (2/3)^2 once in seven
    assert estimator.predict(problem([[1] * 6, [3] * 6], [1.0, 0.0], [[1, 1, 1]])) > 0.9


def test_rounding_in_the_hidden_states_does_not_move_a_value() -> None:
    """Batches of other lengths move hidden states by 1e-6: prefixes that are the same must not part over that."""
    train = [problem([[1, 2, 3, 4]] * 3 + [[1, 9, 9, 9]], [1.0, 1.0, 0.0, 0.0], []) for _ in range(3)]
    estimator = hista()
    estimator.fit(train)
    asked = problem([[1, 2, 3, 4]] * 3 + [[1, 9, 9, 9]], [1.0, 0.0, 0.0, 1.0], [[1, 2], [1, 9, 9]])

    class Noisy(TokensAsStates):
        def rollout_token_hidden_states(self, problem, layer):
            generator = np.random.default_rng(0)
            for hidden in super().rollout_token_hidden_states(problem, layer):
                yield hidden + generator.normal(size=hidden.shape).astype(np.float32) * 1e-6

    exact = estimator.predict(asked)
    estimator._policy = Noisy()
    assert estimator.predict(asked) == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("variant", ["official", "standard"])
def test_hista_reads_the_real_policy_and_is_charged_for_it(suite, tmp_path, variant) -> None:
    predictions = Predictions.read(run(suite, "hista", {"variant": variant}, tmp_path))
    budget = ("group", "hidden_states") if variant == "official" else find("hista").budget
    assert tuple(predictions.info.budget) == budget
    # A problem's two probes of 3 + 8 tokens and four rollouts of 3 + 12.
    assert predictions.info.cost.tokens_read_per_state == pytest.approx((2 * 11 + 4 * 15) / 5)
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()


def test_token_hidden_states_end_with_those_of_the_last_token(suite, write_estimator, values) -> None:
    source = """
import numpy as np
from sveb import Estimator
class Mine(Estimator):
    def predict(self, problem):
        last = self.policy.hidden_states(problem.states)
        every = list(self.policy.token_hidden_states(problem.states))
        assert [len(e) for e in every] == [3 + s.n_tokens for s in problem.states]
        np.testing.assert_allclose([e[-1] for e in every], last, atol=1e-4)
        for whole, some in zip(self.policy.rollout_token_hidden_states(problem),
                               self.policy.rollout_hidden_states(problem), strict=True):
            np.testing.assert_allclose(whole[[2, 6, 10, 14]], some, atol=1e-4)
        return [0.5] * len(problem.states)
"""
    assert set(values(suite, write_estimator(source)).values()) == {0.5}


def test_chunks_cover_all_in_order_and_stay_small() -> None:
    from sveb.harness import policy_client as access

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "_TOKENS_AT_ONCE", 10)
        assert [list(c) for c in access._chunks([4, 6, 1, 30, 2, 2])] == [[0, 1], [2], [3], [4, 5]]
        assert list(access._chunks([])) == []
