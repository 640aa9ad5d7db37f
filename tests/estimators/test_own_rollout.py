"""Protocol "paper": the rollout that a state was cut from stays in the pool. Its part in numca and hista, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sveb.contract.problem import Group, Problem, State
from sveb.estimators.hista import Hista
from sveb.estimators.numca import Numca, milestones


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


class TokensAsStates:
    """A policy whose hidden state at a token is the token itself, in one dimension; the prompt is one 0."""

    def token_hidden_states(self, states, _layer):
        return (column(0, *state.token_ids) for state in states)

    def rollout_token_hidden_states(self, problem, _layer):
        return (column(0, *tokens) for tokens in problem.group.token_ids)


def problem(group: Group, *states: State) -> Problem:
    return Problem("p", "?", np.zeros(1, np.int32), list(states), 0, lambda: group, lambda: "")


def text_state(text: str, own: int | None) -> State:
    return State("s", np.empty(0, np.int32), text, 0, 0, "path", own)


# The scored response: 1 and 2 stand 4 characters apart, 3 comes 60 later, 9 is the answer.
SCORED = "a 1 b 2" + " " * 60 + "3" + " " * 60 + "9"
NUMBERS = Group(np.array([1.0, 0.0, 0.0]), [SCORED, "a 1 b 2" + " " * 60 + "5", "none"], [], [])


def test_numca_official_takes_the_milestones_of_the_whole_response() -> None:
    """The table, last numbers dropped: {}: 1/3, {1,2}: 1/2, {1,2,3}: 1/1. Inside the span 1, 2 nothing is passed."""
    cuts = {"a": 1 / 3, "a 1": 1 / 3, "a 1 b 2": 1 / 2, SCORED[:68]: 1.0, SCORED[:100]: 1.0}
    asked = problem(NUMBERS, *(text_state(text, 0) for text in cuts))
    assert Numca("official").predict(asked) == pytest.approx(list(cuts.values()))


def test_a_rare_numca_state_returns_its_own_outcome_and_without_it_nothing_is_known() -> None:
    alone = Group(NUMBERS.returns[1:], NUMBERS.texts[1:], [], [])
    assert Numca("official").predict(problem(NUMBERS, text_state(SCORED[:68], 0))) == pytest.approx([1.0])
    assert Numca("official").predict(problem(alone, text_state(SCORED[:68], None))) == pytest.approx([0.0])


def test_numca_backoff_never_looks_past_the_prefix() -> None:
    """Within the dense span {1} is no state of any rollout: the root's 1/3, whether the rest is known or not."""
    for own in (0, None):
        assert Numca().predict(problem(NUMBERS, text_state("a 1", own))) == pytest.approx([1 / 3])


def test_milestones_within_a_reach() -> None:
    found = [("7", 10), ("8", 20), ("9", 100)]
    assert milestones(found, 50, 99) == [frozenset(), frozenset("78")]
    assert milestones(found, 50, 19) == [frozenset()]
    assert milestones(found, 0, 19) == [frozenset(), frozenset("7")]


def token_state(tokens: list[int], own: int | None) -> State:
    return State("s", np.array(tokens, dtype=np.int32), "", len(tokens), 0, "path", own)


def hista(variant: str, k: int) -> Hista:
    """No smoothing (alpha = 0), a node at every token, k neighbours throughout, weights 1/max(d, 1)."""
    made = Hista(variant, alpha=0.0, stride=1, node_every=1, max_k=k, min_k=k, min_distance=1.0, scaled=False)
    made._policy = TokensAsStates()
    return made.fit([])


TOKENS = [np.array([2, 4], dtype=np.int32), np.array([3, 9], dtype=np.int32)]
VALUES = Group(np.array([1.0, 0.0]), ["", ""], TOKENS, [np.array([1, 2]), np.array([1, 2])])
# Prefix [0 2] against the own rollout's nodes [0], [0 2], [0 2 4]: 1, 0, 2/3; against the other's [0], [0 3], [0 3 9]:
# 1, 1/2, (0 + 1 + 7)/3. Clamped at 1 only the last is farther than 1.


def test_hista_official_leaves_out_the_own_nodes_beyond_the_state() -> None:
    """All six candidates, one at infinity: (1 + 1) / (1 + 1 + 1 + 1 + 3/8) instead of 3 / (5 + 3/8)."""
    seen, unseen = hista("official", 6), hista("official", 6)
    assert seen.predict(problem(VALUES, token_state([2], 0))) == pytest.approx([2 / (4 + 3 / 8)])
    assert unseen.predict(problem(VALUES, token_state([2], None))) == pytest.approx([3 / (5 + 3 / 8)])


def test_hista_finds_the_own_prefix_at_distance_0() -> None:
    """One neighbour, nothing clamped: the own outcome, whatever the others say."""
    made = hista("official", 1)
    made.min_distance = 1e-3
    for own in (0, 1):
        state = token_state([[2], [3]][own], own)
        assert made.predict(problem(VALUES, state)) == pytest.approx([VALUES.returns[own]])


def test_hista_standard_gives_the_own_rollout_one_vote_at_distance_0() -> None:
    """Own 0, clamped to 1; the other's nearest is [0 3] at 1/2, clamped to 1: a half. With a floor of 1/4: 4 to 2."""
    made = hista("standard", 2)
    assert made.predict(problem(VALUES, token_state([2], 0))) == pytest.approx([1 / 2])
    made.min_distance_ = 0.25
    assert made.predict(problem(VALUES, token_state([2], 0))) == pytest.approx([4 / 6])


def test_k_follows_the_own_rollouts_length_also_where_tokens_differ() -> None:
    """Re-tokenised text need not be a token prefix of the response: 1 of 2 tokens, so k = 5 - 4/2 = 3.

    Prefix [0 5]: own [0] at 5/2, [0 2] at 3/2; the other's [0] at 5/2, [0 3] at 1, all longer ones beyond 30. By the
    mean length of 51 tokens k would be 5.
    """
    made = Hista("official", alpha=0.0, stride=1, node_every=1, max_k=5, min_k=1, min_distance=1e-3, scaled=False)
    made._policy = TokensAsStates()
    made.fit([])
    far = np.array([3, *range(100, 10_000, 100)], dtype=np.int32)
    group = Group(VALUES.returns, VALUES.texts, [TOKENS[0], far], VALUES.step_ends)
    expected = (2 / 3 + 2 / 5) / (1 + 2 / 3 + 2 / 5)
    assert made.predict(problem(group, token_state([5], 0))) == pytest.approx([expected])
