"""The information budget: what was asked for, and nothing that was merely within reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.estimators.registry import find
from sveb.harness.conformance.examination import check
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from tests.harness.reports import everywhere, report_of

# Reading an attribute or asking the policy is what counts; `problem` is of the test problems, `one` of training.
TOUCHES = [
    ("predict", "len(problem.states), problem.question, problem.prompt_token_ids, problem.id, problem.rng", []),
    ("predict", "repr(problem)", []),
    ("predict", "problem.group", ["group"]),
    ("predict", "hasattr(problem, 'group')", ["group"]),
    ("predict", "getattr(problem, 'answer')", ["gold_answer"]),
    ("predict", "self.policy.draws(problem.states, 1)", ["extra_rollouts"]),
    ("predict", "self.policy.rollout_prefix_texts(problem)", ["group"]),
    ("fit", "len(train), [one.question for one in train]", []),
    ("fit", "train[0].group", ["train_returns"]),
    ("fit", "train[0].answer", ["gold_answer"]),
    ("fit", "self.policy.rollout_prefix_texts(train[0])", ["train_returns"]),
]
FORWARD = [
    ("predict", "self.policy.hidden_states(problem.states)", ["hidden_states"]),
    ("predict", "list(self.policy.token_hidden_states(problem.states[:1]))", ["hidden_states"]),
    ("predict", "self.policy.rollout_hidden_states(problem)", ["group", "hidden_states"]),
    ("predict", "self.policy.logprobs(problem.states)", ["logprobs"]),
    ("predict", "self.policy.confidences(problem.states)", ["logprobs"]),
    ("predict", "self.policy.rollout_confidences(problem)", ["group", "logprobs"]),
    ("predict", "self.policy.answer_logprobs(problem.states)", ["logprobs", "gold_answer"]),
    ("fit", "self.policy.rollout_hidden_states(train[0])", ["train_returns", "hidden_states"]),
    ("fit", "self.policy.rollout_answer_logprobs(train[0])", ["train_returns", "logprobs", "gold_answer"]),
    ("fit", "self.policy.weights()", ["hidden_states"]),
]


@everywhere
def test_a_built_in_gets_the_budget_that_the_registry_states(name: str) -> None:
    assert report_of(name).budget == find(name).budget


@pytest.mark.parametrize(
    ("name", "params", "budget"),
    [
        ("numca", {"variant": "official"}, ("group",)),
        ("hista", {"variant": "official"}, ("group", "hidden_states")),
        ("mc_shrunk", {"base": "group_mean", "k": "2"}, ("group", "extra_rollouts")),
    ],
)
def test_a_variant_gets_its_own(name: str, params: dict[str, str], budget: tuple[str, ...]) -> None:
    assert check(name, params).budget == budget


@pytest.mark.parametrize(("phase", "touch", "budget"), [*TOUCHES, *FORWARD])
def test_reading_is_what_counts(
    suite, write_estimator, tmp_path: Path, phase: str, touch: str, budget: list[str]
) -> None:
    body = {"fit": "", "predict": ""} | {phase: touch}
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n"
        f"    def fit(self, train):\n        {body['fit'] or 'pass'}\n"
        f"    def predict(self, problem):\n        {body['predict'] or 'pass'}\n"
        "        return [0.5] * len(problem.states)\n"
    )
    assert Predictions.read(run(suite, write_estimator(source), {}, tmp_path)).info.budget == budget
