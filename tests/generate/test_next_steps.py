"""Path states come in pairs of consecutive steps; each is stored with length and weight of the step that follows."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sveb.generate.state_cuts import choose_pairs
from sveb.suite.suite import Suite


def neighbours(places: list[int]) -> int:
    return sum(b == a + 1 for a, b in pairwise(places))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("extra", [1, 2, 7, 40])
def test_as_many_places_as_asked_for_in_order_and_each_has_a_neighbour_around_the_circle(
    limit: int, extra: int
) -> None:
    n = limit + extra
    for seed in range(50):
        places = choose_pairs(n, limit, np.random.default_rng(seed))
        assert len(places) == limit == len(set(places))
        assert places == sorted(places)
        assert 0 <= places[0] <= places[-1] < n
        chosen = set(places)
        if limit > 1:
            assert all((p + 1) % n in chosen or (p - 1) % n in chosen for p in places)
        # A pair on the last and the first place loses its neighbour, and no other does.
        assert neighbours(places) >= limit // 2 - (1 if {0, n - 1} <= chosen else 0)


@pytest.mark.parametrize(("n", "limit"), [(7, 6), (8, 6), (12, 5), (30, 4)])
def test_each_step_is_equally_likely_and_each_pair_of_neighbours(n: int, limit: int) -> None:
    runs, steps, pairs = 8000, Counter[int](), Counter[int]()
    for seed in range(runs):
        places = choose_pairs(n, limit, np.random.default_rng(seed))
        steps.update(places)
        pairs.update(a for a, b in pairwise(places) if b == a + 1)
    p = limit / n
    counts = np.array([steps[i] for i in range(n)])
    assert np.abs(counts - runs * p).max() < 5 * np.sqrt(runs * p * (1 - p))
    found = np.array([pairs[i] for i in range(n - 1)])
    mean = found.mean()
    assert np.abs(found - mean).max() < 5 * np.sqrt(mean * (1 - min(1, mean / runs)) + 1)


def test_the_choice_is_the_seeds() -> None:
    assert choose_pairs(40, 6, np.random.default_rng(1)) == choose_pairs(40, 6, np.random.default_rng(1))
    assert choose_pairs(40, 6, np.random.default_rng(1)) != choose_pairs(40, 6, np.random.default_rng(2))


def test_of_a_suite_with_long_rollouts_at_least_half_of_the_possible_pairs_are_there(tiny_suite: Path) -> None:
    path = Suite.open(tiny_suite).states.query("kind == 'path'")
    steps = path.groupby("rollout_id")["step_index"].apply(sorted)
    full = [places for places in steps if len(places) == 4]
    assert len(full) >= 6
    assert all(neighbours(places) >= 1 for places in full)
    assert np.mean([neighbours(places) >= 2 for places in full]) > 0.5


def test_next_tokens_end_at_the_next_boundary_or_with_the_response(tiny_suite: Path) -> None:
    suite = Suite.open(tiny_suite)
    rollouts = suite.rollouts("probe").set_index("rollout_id")
    last = 0
    for state in suite.states.itertuples():
        if state.kind != "path":
            assert np.isnan(state.next_tokens)
            assert np.isnan(state.next_weight)
            continue
        whole = rollouts.loc[state.rollout_id]
        later = [end for end in whole["step_ends"] if end > state.n_tokens]
        last += not later
        assert state.next_tokens == (later[0] if later else len(whole["token_ids"])) - state.n_tokens
    known = suite.states.query("kind == 'path'")
    follows = known.assign(step=known["step_index"] - 1).set_index(["rollout_id", "step"])["n_tokens"]
    for state in known.itertuples():
        if (state.rollout_id, state.step_index) in follows.index:
            assert state.next_tokens == follows[state.rollout_id, state.step_index] - state.n_tokens


def test_next_weights_are_the_sums_that_a_plain_loop_finds(tiny_suite: Path, nano_transformers: Any) -> None:
    """One forward pass for each state, without batches and without padding, in float64 after the logits."""
    suite = Suite.open(tiny_suite)
    rollouts = suite.rollouts("probe").set_index("rollout_id")["token_ids"]
    states = suite.states.query("kind == 'path'").iloc[::3]
    assert len(states) > 10
    for state in states.itertuples():
        prefix = [*suite.problems.loc[state.problem_id, "prompt_token_ids"], *state.token_ids]
        step = rollouts[state.rollout_id][state.n_tokens : state.n_tokens + int(state.next_tokens)]
        expected = 0.0
        with torch.inference_mode():
            logits = nano_transformers.model(torch.tensor([[*prefix, *step]])).logits[0].double()
        for i, token in enumerate(step):
            p = torch.softmax(logits[len(prefix) + i - 1], -1)
            expected += float(1 - 2 * p[token] + (p**2).sum())
        assert state.next_weight == pytest.approx(expected, abs=1e-4)


def test_a_weight_is_the_squared_gradient_of_the_log_probability(nano_transformers: Any) -> None:
    tokens = nano_transformers.codec.encode("2*3=6\n6-1=5\n")
    (weights,) = nano_transformers.token_weights([tokens])
    assert weights.shape == (len(tokens) - 1,)
    with torch.inference_mode():
        logits = nano_transformers.model(torch.tensor([tokens])).logits[0]
    for t in range(1, len(tokens)):
        scores = logits[t - 1].clone().double().requires_grad_()
        scores.log_softmax(-1)[tokens[t]].backward()
        assert weights[t - 1] == pytest.approx(float((scores.grad**2).sum()), abs=1e-5)
