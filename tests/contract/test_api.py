import pickle

import numpy as np
import pytest

from sveb import Estimator, Problem
from sveb.common.errors import SvebError
from sveb.harness.policy_client import PolicyClient


class Two(Estimator):
    def __init__(self, first: int = 1, second: str = "a") -> None:
        self.first = first
        self.second = second

    def predict(self, problem: Problem) -> list[float]:
        return [float(self.first)] * len(problem.states)


class Forgetful(Estimator):
    def __init__(self, kept: int = 1, lost: int = 2) -> None:  # noqa: ARG002
        self.kept = kept


class Greedy(Estimator):
    def __init__(self, **anything: int) -> None:
        self.anything = anything


def test_parameters_are_what_the_constructor_was_given() -> None:
    assert Two(second="b").get_params() == {"first": 1, "second": "b"}
    assert Estimator().get_params() == {}


def test_set_params_changes_and_returns_the_estimator() -> None:
    estimator = Two()
    assert estimator.set_params(first=3) is estimator
    assert estimator.get_params() == {"first": 3, "second": "a"}


def test_a_misspelt_parameter_gets_the_closest_name() -> None:
    with pytest.raises(SvebError, match=r"unknown parameter of Two 'frist': did you mean first\?"):
        Two().set_params(frist=3)


def test_repr_shows_how_to_make_it() -> None:
    assert repr(Two(first=2)) == "Two(first=2, second='a')"


def test_a_clone_has_the_parameters_but_not_what_was_fitted() -> None:
    estimator = Two(first=5)
    estimator.fitted_ = 1
    clone = estimator.clone()
    assert clone.get_params() == estimator.get_params()
    assert not hasattr(clone, "fitted_")


def test_a_constructor_that_does_not_store_is_named() -> None:
    with pytest.raises(SvebError, match=r"Forgetful.__init__ must store each argument.*lost"):
        Forgetful().get_params()


def test_a_constructor_with_unnamed_arguments_is_refused() -> None:
    with pytest.raises(SvebError, match=r"Greedy.__init__ takes \*\*anything"):
        Greedy().get_params()


def test_policy_and_rng_say_when_they_are_there() -> None:
    with pytest.raises(SvebError, match="not in __init__"):
        _ = Two().policy
    with pytest.raises(SvebError, match="not in __init__"):
        _ = Two().rng


def test_a_pickled_estimator_leaves_the_connection_behind() -> None:
    estimator = Two(first=4)
    estimator._policy = PolicyClient(None)
    estimator._rng = np.random.default_rng(0)
    copy = pickle.loads(pickle.dumps(estimator))
    assert copy.first == 4
    assert copy._policy is None
    assert copy._rng is None


def test_group_and_answer_are_fetched_once_and_only_when_touched() -> None:
    asked: list[str] = []
    problem = Problem("p", "?", np.empty(0, np.int32), [], 0, lambda: asked.append("group"), lambda: asked.append("a"))
    assert asked == []
    _ = problem.group, problem.group
    assert asked == ["group"]
