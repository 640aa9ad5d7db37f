"""answer_likelihood: isotonic calibration by hand, the right tokens under the real policy, what is charged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.core.errors import SvebError
from sveb.core.predictions import Predictions
from sveb.core.tables import table_of, write_table
from sveb.estimate.builtins.isotonic import fit_isotonic
from sveb.estimate.forward import Forward
from sveb.estimate.registry import BUILTINS
from sveb.estimate.run import run

from .test_builtins import needs_nano


def test_isotonic_regression_by_hand() -> None:
    """0 | 1 0 pooled to 1/2 | 1; linear between the blocks and constant outside."""
    fitted = fit_isotonic(np.array([3.0, 1.0, 2.0, 4.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert fitted(np.array([-9, 1, 1.5, 2, 3, 3.5, 4, 9])) == pytest.approx([0, 0, 0.25, 0.5, 0.5, 0.75, 1, 1])


def test_equal_scores_get_their_mean() -> None:
    fitted = fit_isotonic(np.array([1.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert fitted(np.array([1.0, 2.0])) == pytest.approx([1 / 3, 1])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=30))
@settings(deadline=None)
def test_isotonic_regression_is_the_best_monotone_map(rows: list[tuple[int, int]]) -> None:
    """Against the max-min formula: max over i <= k of min over j >= k of the mean of rows i..j."""
    scores, returns = np.array(rows, dtype=float).T
    distinct = np.unique(scores)
    expected = [
        max(
            min(returns[(scores >= low) & (scores <= high)].mean() for high in distinct[distinct >= at])
            for low in distinct[distinct <= at]
        )
        for at in distinct
    ]
    assert fit_isotonic(scores, returns)(distinct) == pytest.approx(expected)


ANSWERS = """
import numpy as np
from sveb import Estimator
class Mine(Estimator):
    def fit(self, train):
        for problem in train:
            found = self.policy.rollout_answer_logprobs(problem)
            assert [len(each) for each in found] == [4] * 4
            roots = np.array([each[0] for each in found])
            np.testing.assert_allclose(roots, roots[:1].repeat(4, axis=0), atol=1e-4)
    def predict(self, problem):
        return [float(each.sum()) for each in self.policy.answer_logprobs(problem.states)]
"""


@needs_nano
def test_the_answer_is_read_after_what_announces_it(suite, write_estimator, tmp_path) -> None:
    """A state's prompt and prefix, then `#### `, then 17: only the last two tokens' log-probabilities are given."""
    problems = suite.table("problems").to_pylist()
    for problem in problems:
        problem["answer"] = "17"
    write_table(suite.path / "problems.parquet", table_of("problems", problems))
    predictions = Predictions.read(run(suite, write_estimator(ANSWERS), {}, tmp_path))
    assert predictions.info.budget == ["train_returns", "logprobs", "gold_answer"]
    forward = Forward(suite.manifest)
    tokenizer = forward._codec.tokenizer
    hashes, space, one, seven = tokenizer("#### 17", add_special_tokens=False)["input_ids"]
    found = dict(zip(predictions.state_ids, predictions.values, strict=True))
    states = {row["state_id"]: row for row in suite.table("states").to_pylist()}
    for name in ("test-001/root", "test-001/probe0/s2"):
        row = [1, 5 + 1, 7, *states[name]["token_ids"], hashes, space, one, seven]
        (alone,) = forward._policy.logprobs([row])
        assert found[name] == pytest.approx(alone[-2:].sum(), abs=1e-3)


@needs_nano
def test_answer_likelihood_is_charged_for_the_answer_and_every_token_read(suite, tmp_path) -> None:
    predictions = Predictions.read(run(suite, "answer_likelihood", {}, tmp_path))
    assert tuple(predictions.info.budget) == BUILTINS["answer_likelihood"].budget
    # Five states of 0, 4, 4, 8, 8 tokens, each read by itself: the answer stands behind it.
    assert predictions.info.cost.tokens_read_per_state > (5 * 3 + 24 + 5 * 3) / 5
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()


def test_answer_likelihood_without_training_problems_says_so(build_suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="answer_likelihood needs training problems"):
        run(build_suite(n_train=0), "answer_likelihood", {}, tmp_path)
