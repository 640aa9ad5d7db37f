"""`critic` with the problem's own group: what is added to its values, and the copy that learns from the group."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sveb.common.errors import SvebError
from sveb.contract.problem import Group, Problem, State
from sveb.estimators.critic import Critic, _left_out_error
from sveb.estimators.shared.value_model import ValueModel, backbone_of, predict
from sveb.estimators.shared.value_training import Recipe, Trajectory, squared_error, tuned
from sveb.harness.run_estimator import run
from sveb.policies.nano import WEIGHTS_DIR
from sveb.runs.predictions import Predictions

PROMPT = np.array([1, 5], dtype=np.int32)


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, dtype=np.int32)


def model() -> ValueModel:
    """V is small and differs from token to token."""
    torch.manual_seed(0)
    new = ValueModel(backbone_of(str(WEIGHTS_DIR / "nano-early"), True), "mse")
    torch.nn.init.normal_(new.head.weight, std=0.02)
    torch.nn.init.constant_(new.head.bias, 0.4)
    return new


def problem(returns: list[float], responses: list[np.ndarray], state: np.ndarray) -> Problem:
    group = Group(np.array(returns), ["" for _ in returns], responses, [tokens(len(each)) for each in responses])
    states = [State("s0", state, "", len(state), 1, "path")]
    return Problem("p", "?", PROMPT, states, 0, lambda: group, lambda: "")


RESPONSES = [tokens(20, 21, 22), tokens(20, 23), tokens(30, 31, 32, 33)]


def test_the_level_is_the_shrunken_mean_of_returns_minus_values_along_the_group() -> None:
    critic = Critic(group="level")
    critic.model_, critic.kappa_ = model(), 2.0
    asked = problem([1.0, 1.0, 0.0], RESPONSES, tokens(20, 21))
    residuals = []
    for response, return_ in zip(RESPONSES, [1.0, 1.0, 0.0], strict=True):
        # The states of a response of n tokens are the prompt and its first n - 1 tokens.
        states = [np.concatenate([PROMPT, response[:n]]) for n in range(len(response))]
        residuals.append(return_ - np.mean([predict(critic.model_, [each])[0][-1] for each in states]))
    plain = predict(critic.model_, [np.concatenate([PROMPT, tokens(20, 21)])])[0][-1]
    assert critic.predict(asked) == pytest.approx([plain + sum(residuals) / (3 + 2.0)], abs=1e-4)


def test_a_left_out_residual_is_compared_with_the_shrunken_mean_of_the_others() -> None:
    """Residuals 1, 0, -1 with kappa 2: means of the others -1/4, 0, 1/4, errors 25/16, 0, 25/16."""
    assert _left_out_error(np.array([1.0, 0.0, -1.0]), 2.0) == pytest.approx(25 / 24)


def test_a_copy_learns_from_the_group_and_the_critic_stays_as_it_is() -> None:
    before = model()
    rollouts = [Trajectory(np.concatenate([PROMPT, each]), 2, 1.0) for each in RESPONSES]
    kept = squared_error(before, rollouts)
    after = [tuned(before, rollouts, Recipe(1.0, 4, 1e-3, 0)) for _ in range(2)]
    assert squared_error(after[0], rollouts) < 0.7 * kept
    assert squared_error(before, rollouts) == kept
    for name, tensor in after[0].state_dict().items():
        assert torch.equal(tensor, after[1].state_dict()[name]), name
    assert squared_error(tuned(before, rollouts, Recipe(1.0, 0, 1e-3, 0)), rollouts) == kept


def test_an_own_copy_for_each_problem_values_its_states() -> None:
    """Two problems with the same states: one whose rollouts succeed, one whose rollouts fail."""
    critic = Critic(group="train", lr=1e-3)
    critic.model_, critic.passes_ = model(), 4
    good, bad = (problem([return_] * 3, RESPONSES, tokens(20, 21)) for return_ in (1.0, 0.0))
    first = critic.predict(good)
    assert first > critic.predict(bad) + 0.1
    assert critic.predict(good) == first


def test_the_group_is_in_the_account_and_changes_values_only_where_it_is_asked_for(suite, tmp_path) -> None:
    """The trained weights are the same, so one scratch folder serves all runs: only the first one trains."""
    params, kept = {"epochs": "1", "lr": "1e-3"}, tmp_path / "kept"
    plain = Predictions.read(run(suite, "critic", params, tmp_path / "plain", scratch=kept))
    assert plain.info.budget == ["train_returns", "hidden_states"]
    for group in ("level", "train"):
        totals: set[int] = set()
        path = run(suite, "critic", params | {"group": group}, tmp_path / group, scratch=kept,
                   progress=lambda _, total, seen=totals: seen.add(total))  # fmt: skip
        found = Predictions.read(path)
        assert totals == {3}  # problems
        assert found.info.budget == ["group", "train_returns", "hidden_states"]
        assert np.isfinite(found.values).all()


@pytest.mark.parametrize("group", ["level", "train"])
def test_groups_of_one_rollout_choose_nothing(group) -> None:
    with pytest.raises(SvebError, match=f"group={group} needs training problems with at least two rollouts"):
        Critic(group=group)._choose([])
