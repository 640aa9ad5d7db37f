"""stacked: what witnesses tell by hand, what it learns about numbers, groups of every size, and its own rollout."""

from math import log

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.contract.problem import Group, Problem, State
from sveb.estimators.registry import find
from sveb.estimators.stacked import Stacked, _Others, _Prefix, _Rows, _written
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions

PROMPT = np.array([1], dtype=np.int32)
STEPS = [2, 4]  # tokens at their ends


def group(texts: list[str], returns: list[float]) -> Group:
    tokens = [np.arange(5, dtype=np.int32)] * len(texts)
    return Group(
        np.array(returns, dtype=np.float64), texts, tokens, [np.array([*STEPS, 5], dtype=np.int32)] * len(texts)
    )


def problem(number: int, members: Group, states: list[State]) -> Problem:
    return Problem(f"train-{number}", "There are 9.", PROMPT, states, number, lambda: members, lambda: "")


def state(text: str, n_tokens: int, own: int | None = None) -> State:
    return State("s000000", np.arange(n_tokens, dtype=np.int32), text, n_tokens, n_tokens // 2, "path", own)


class Blank:
    """A policy that knows nothing: numbers and returns are all that there is to learn from."""

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[np.ndarray]:
        if layer > 1:
            raise SvebError("no such layer")
        return [np.zeros((4, 2), dtype=np.float32) for _ in range(len(problem.group))]

    def rollout_confidences(self, problem: Problem, k: int) -> list[np.ndarray]:  # noqa: ARG002
        return [np.zeros((6, 2), dtype=np.float32) for _ in range(len(problem.group))]

    def rollout_prefix_texts(self, problem: Problem) -> list[list[str]]:
        return [["", text.split()[0], " ".join(text.split()[:2]), text] for text in problem.group.texts]

    def hidden_states(self, states: list[State], layer: int = -1) -> np.ndarray:  # noqa: ARG002
        return np.zeros((len(states), 2), dtype=np.float32)

    def token_hidden_states(self, states: list[State], layer: int = -1) -> list[np.ndarray]:  # noqa: ARG002
        return [np.zeros((1 + each.n_tokens, 2), dtype=np.float32) for each in states]

    def confidences(self, states: list[State], k: int) -> list[np.ndarray]:  # noqa: ARG002
        return [np.zeros((each.n_tokens + 1, 2), dtype=np.float32) for each in states]


def fitted() -> Stacked:
    """Successes write 10, then 20; failures write 10 too, then a number that nobody else writes."""
    generator, train = np.random.default_rng(0), []
    for number in range(60):
        returns = (generator.random(8) < generator.random()).astype(float).tolist()
        wrong = iter(range(1000, 2000))
        texts = [f"10 {20 if good else next(wrong)} 77" for good in returns]
        train.append(problem(number, group(texts, returns), []))
    estimator = Stacked()
    estimator._policy = Blank()  # type: ignore[assignment]
    return estimator.fit(train)


def test_the_features_of_the_group_by_hand() -> None:
    """Four rollouts, two successes, both of which wrote 5, which no failure did; nobody wrote 6."""
    members = group(["5 1", "5 1", "7 2", "8 3"], [1, 1, 0, 0])
    assert _written(members) == [{"5"}, {"5"}, {"7"}, {"8"}]  # the last number is the answer
    found = _Others.of(members, _written(members), range(4))
    prefix = _Prefix.of("9 5 6 5", {"9"}, 3, np.array([1.0, 2, 6], dtype=np.float32))
    assert prefix.written == ["5", "6"]
    good = log((2 + 0.5) / (2 + 1)) - log(0.5 / (2 + 1))
    features = found.features(prefix)
    assert features == pytest.approx([1, True, good, 0, 0, 1, 3, 9, 3, 6, 3])
    nothing = found.features(_Prefix.of("", set(), 0, np.array([1.0], dtype=np.float32)))
    assert nothing == pytest.approx([0, False, 0, 0, 0, 0, 0, 1, 1, 1, 1])


def test_the_groups_mean_stands_on_the_probes_opinion_of_the_prompt() -> None:
    """Three of four, and one rollout's worth of .25 before them."""
    found = _Rows(np.zeros((1, 11)), np.array([4.0]), np.array([3.0]), np.zeros(1), np.array([log(1 / 3)]))
    assert found.of_group(1.0) == pytest.approx([3.25 / 5])


def test_a_number_that_nobody_wrote_speaks_against_a_state_and_a_successful_one_for_it() -> None:
    estimator = fitted()
    members = group(["10 20 77", "10 55 77"] * 16, [1, 0] * 16)
    states = [state("", 0), state("10", 2), state("10 20", 4), state("10 55", 4), state("10 66", 4)]
    root, step, right, wrong, unseen = estimator.predict(problem(0, members, states))
    assert 0.3 < root < 0.7
    assert 0.3 < step < 0.7
    assert right > 0.85
    assert wrong < 0.3
    assert unseen < 0.15


def test_the_more_could_have_written_a_number_the_more_it_tells_that_none_did() -> None:
    estimator = fitted()
    values = [
        estimator.predict(problem(0, group(["10 20 77", "10 55 77"] * n, [1, 0] * n), [state("10 66", 4)]))[0]
        for n in (1, 4, 16)
    ]
    assert values[0] > values[1] > values[2]


def test_an_empty_group_leaves_the_probes_opinion() -> None:
    values = fitted().predict(problem(0, group([], []), [state("", 0), state("10", 2)]))
    assert np.isfinite(values).all()
    assert 0.2 < values[0] < 0.8


def test_a_states_own_rollout_is_no_witness() -> None:
    """Its text and its return may be anything."""
    estimator, others = fitted(), ["10 20 77", "10 55 77"] * 4
    found = {
        (text, return_): estimator.predict(
            problem(0, group([*others, text], [1, 0, 1, 0, 1, 0, 1, 0, return_]), [state("10 66", 4, own=8)])
        )[0]
        for text, return_ in (("10 66 77", 1.0), ("10 66 77", 0.0), ("3 4 5", 0.0))
    }
    assert len(set(found.values())) == 1
    hidden = estimator.predict(problem(0, group(others, [1, 0] * 4), [state("10 66", 4)]))[0]
    assert set(found.values()) == {hidden}


def test_the_real_policy_is_read_charged_and_told(suite, tmp_path) -> None:
    predictions = Predictions.read(run(suite, "stacked", {}, tmp_path))
    assert tuple(predictions.info.budget) == find("stacked").budget
    assert predictions.info.cost.tokens_sampled_per_state == 0
    assert predictions.info.cost.tokens_read_per_state > 0
    assert ((predictions.values > 0) & (predictions.values < 1)).all()


def test_without_training_problems_it_says_so(build_suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="stacked needs "):
        run(build_suite(n_train=0), "stacked", {}, tmp_path)
