"""Estimators from the group alone and from position: values by hand, and agreement with slow, plain versions."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.common.beta_binomial import fit_beta, log_likelihood
from sveb.common.errors import SvebError
from sveb.contract.problem import Group, Problem, State
from sveb.estimators.position import _features
from sveb.estimators.prefix_trie import PrefixTrie, shared_length
from sveb.estimators.registry import find
from sveb.estimators.shared.logistic import fit_logistic
from sveb.estimators.text_similarity import Grams, TextSimilarity
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions


def state(tokens: list[int], text: str = "") -> State:
    return State("s000000", np.array(tokens, dtype=np.int32), text, len(tokens), 0, "path")


def problem(states: list[State], returns: list[float], texts: list[str] | None = None, tokens=()) -> Problem:
    ids = [np.array(one, dtype=np.int32) for one in tokens or [[]] * len(returns)]
    group = Group(np.array(returns), texts or [""] * len(returns), ids, [np.array([len(one)]) for one in ids])
    return Problem("test-00000", "?", np.array([1], dtype=np.int32), states, 0, lambda: group, lambda: "")


def test_the_beta_binomial_by_hand() -> None:
    """Uniform prior: B(3, 2) = 2! 1! / 4! = 1/12 for two successes of three in their order."""
    found = log_likelihood(np.array([2.0]), np.array([3.0]), np.array([1.0]), np.array([1.0]))
    assert np.exp(found) == pytest.approx(1 / 12)


def test_the_fitted_prior_is_the_likeliest() -> None:
    """No neighbour is likelier, and the prior behind 4000 groups is found again."""
    generator = np.random.default_rng(0)
    counts = np.full(4000, 8.0)
    sums = generator.binomial(8, generator.beta(2.0, 1.0, 4000)).astype(float)
    a, b = fit_beta(sums, counts)
    assert (a, b) == pytest.approx((2.0, 1.0), rel=0.1)
    best = log_likelihood(sums, counts, np.array(a), np.array(b)).sum()
    for factor in (0.97, 1.03):
        assert log_likelihood(sums, counts, np.array(a * factor), np.array(b)).sum() < best
        assert log_likelihood(sums, counts, np.array(a), np.array(b * factor)).sum() < best


def test_groups_that_are_all_alike_get_a_tight_prior() -> None:
    """Half of every group succeeds: less spread than chance, so the prior's precision goes to its limit."""
    a, b = fit_beta(np.full(50, 4.0), np.full(50, 8.0))
    assert a / (a + b) == pytest.approx(0.5, abs=1e-3)
    assert a + b == pytest.approx(1e4, rel=0.01)


def test_shrunk_mean_adds_the_priors_counts(suite, values) -> None:
    """Training groups 0 1 0 1 are as far from all-or-nothing as can be: half, with a + b at its limit of 10,000."""
    found = set(values(suite, "shrunk_mean").values())
    assert len(found) == 1
    assert found.pop() == pytest.approx((3 + 5000) / (4 + 10000), abs=1e-3)


def test_shrunk_mean_without_training_problems_says_so(build_suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="shrunk_mean needs at least two training problems"):
        run(build_suite(n_train=1), "shrunk_mean", {}, tmp_path)


def test_logistic_regression_solves_its_equations_by_hand() -> None:
    """One binary feature: success 1/4 without it, 3/4 with it, so the log-odds are -log 3 and log 3."""
    x = np.array([[0.0]] * 4 + [[1.0]] * 4)
    y = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=float)
    model = fit_logistic(x, y, np.ones(8))
    assert model(np.array([[0.0], [1.0]])) == pytest.approx([0.25, 0.75], abs=2e-3)
    heavier = fit_logistic(x, y, np.array([3.0, 1, 1, 1, 1, 1, 1, 1]))
    assert heavier(np.array([[0.0]])) == pytest.approx([0.5], abs=3e-3)


def test_logistic_regression_of_separable_returns_stays_finite() -> None:
    x = np.column_stack([np.arange(20.0), np.full(20, 7.0)])
    model = fit_logistic(x, (x[:, 0] > 9).astype(float), np.ones(20))
    assert np.isfinite(model.coef).all()
    assert model.coef[1] == 0
    assert model(x)[[0, -1]] == pytest.approx([0, 1], abs=0.02)


def test_position_counts_steps_tokens_their_share_and_numbers() -> None:
    assert _features(2, 30, 60.0, "2*27=54 and 3.5") == [2, 30, 0.5, 5]


def test_length_knows_the_tokens_so_far_and_nothing_else(suite, tmp_path) -> None:
    predictions = Predictions.read(run(suite, "length", {}, tmp_path))
    assert predictions.info.budget == ["train_returns"]
    n_tokens = {row["state_id"]: row["n_tokens"] for row in suite.table("states").to_pylist()}
    pairs = {(n_tokens[name], value) for name, value in zip(predictions.state_ids, predictions.values, strict=True)}
    assert len(pairs) == len(set(n_tokens.values())) > 1


def test_position_knows_nothing_but_position(suite, tmp_path) -> None:
    predictions = Predictions.read(run(suite, "position", {}, tmp_path))
    assert tuple(predictions.info.budget) == find("position").budget
    assert predictions.info.cost.tokens_read_per_state == 0
    by_place: dict[str, set[float]] = {}
    for name, value in zip(predictions.state_ids, predictions.values, strict=True):
        by_place.setdefault(name.rsplit("/", 1)[1], set()).add(round(value, 9))
    assert {place: len(found) for place, found in by_place.items()} == {"root": 1, "s1": 1, "s2": 1}


def test_prefix_texts_of_rollouts_end_where_their_steps_do(suite, write_estimator, values) -> None:
    """The tokens of the fixture decode to other texts than it stores; their lengths are what counts."""
    from sveb.policies.codec import TextCodec
    from sveb.policies.models import fetch_weights, find_model

    codec = TextCodec(fetch_weights(find_model("package:nano-early").source).folder, None)
    rollouts = suite.table("rollouts").to_pylist()
    row = next(row for row in rollouts if row["problem_id"] == "test-001" and row["role"] == "context")
    lengths = [len(codec.decode(row["token_ids"][:end])) for end in (0, 4, 8, 12)]
    source = f"""
from sveb import Estimator
class Mine(Estimator):
    def predict(self, problem):
        found = self.policy.rollout_prefix_texts(problem)
        assert [len(row) for row in found] == [4] * 4
        if problem.question == "Question 1?":
            assert found[0] == ["context 0"[:n] for n in {lengths}]
        return [0.5] * len(problem.states)
"""
    assert set(values(suite, write_estimator(source)).values()) == {0.5}


def test_shared_length_by_hand() -> None:
    def of(*tokens: int) -> np.ndarray:
        return np.array(tokens, dtype=np.int32)

    assert shared_length(of(1, 2, 3), of(1, 2, 4, 5)) == 2
    assert shared_length(of(1, 2), of(1, 2, 3)) == 2
    assert shared_length(of(), of(1)) == 0
    assert shared_length(of(2), of(1)) == 0


def test_prefix_trie_by_hand() -> None:
    """m = 2: [1 2 3] is followed by one rollout, [1 2] by two (returns 1 and 0), [1] by three; [9] by none."""
    tokens = [[1, 2, 3, 4], [1, 2, 5], [1, 7], [8]]
    states = [state([1, 2, 3]), state([1, 7]), state([9]), state([])]
    found = PrefixTrie(m=2).predict(problem(states, [1.0, 0.0, 0.0, 1.0], tokens=tokens))
    assert found == pytest.approx([1 / 2, 1 / 3, 2 / 4, 2 / 4])


def test_prefix_trie_with_more_required_than_there_are_is_the_group_mean() -> None:
    found = PrefixTrie(m=9).predict(problem([state([1])], [1.0, 0.0], tokens=[[1], [2]]))
    assert found == pytest.approx([0.5])


def test_cosine_of_words_by_hand() -> None:
    """{2:1, *:1, 27:1} and {2:2, 27:1} share 2*1 + 1*1 = 3; norms sqrt(3) and sqrt(5)."""
    assert Grams.of("2*27", 1).cosine(Grams.of("2 2 27", 1)) == pytest.approx(3 / math.sqrt(15))


def test_text_similarity_compares_as_many_words_as_the_state_has() -> None:
    """After two words `a b` the first rollout reads alike (1), the second shares one word (1/2), the third none."""
    found = TextSimilarity(n=1).predict(
        problem([state([], "a b"), state([], ""), state([], "z")], [1.0, 0.0, 1.0], ["a b q q q", "a c", "x y a b"])
    )
    assert found == pytest.approx([1 / 1.5, 2 / 3, 2 / 3])


WORDS = st.lists(st.sampled_from("abc"), max_size=8)


@given(WORDS, WORDS, st.integers(1, 3))
def test_running_counts_agree_with_counting_anew(one: list[str], other: list[str], n: int) -> None:
    def counts(words: list[str]) -> Counter:
        return Counter(tuple(words[i : i + k]) for k in range(1, n + 1) for i in range(len(words) - k + 1))

    mine, theirs = counts(one), counts(other[: len(one)])
    norm = math.sqrt(sum(c * c for c in mine.values()) * sum(c * c for c in theirs.values()))
    expected = sum(c * theirs[key] for key, c in mine.items()) / norm if norm else 0.0
    assert Grams.of(" ".join(one), n).cosine(Grams.of(" ".join(other), n)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["shrunk_mean", "prefix_trie", "text_similarity"])
def test_the_registry_tells_the_budget_that_was_measured(suite, tmp_path, name) -> None:
    info = Predictions.read(run(suite, name, {}, tmp_path)).info
    assert tuple(info.budget) == find(name).budget
    assert info.cost.tokens_read_per_state == info.cost.tokens_sampled_per_state == 0
