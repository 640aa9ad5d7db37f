"""answer_likelihood and confidence: calibration by hand, the right tokens under the real policy, the charge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.estimators.confidence import Confidence
from sveb.estimators.registry import find
from sveb.estimators.shared.isotonic import fit_isotonic
from sveb.harness.forward_passes import Forward
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.suite.tables import table_of, write_table


def test_isotonic_regression_by_hand() -> None:
    """0 | 1 0 pooled to 1/2 | 1; linear between the blocks and constant outside."""
    fitted = fit_isotonic(np.array([3.0, 1.0, 2.0, 4.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert fitted(np.array([-9, 1, 1.5, 2, 3, 3.5, 4, 9])) == pytest.approx([0, 0, 0.25, 0.5, 0.5, 0.75, 1, 1])


def test_equal_scores_get_their_mean() -> None:
    fitted = fit_isotonic(np.array([1.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert fitted(np.array([1.0, 2.0])) == pytest.approx([1 / 3, 1])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=30))
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


def test_answer_likelihood_is_charged_for_the_answer_and_every_token_read(suite, tmp_path) -> None:
    predictions = Predictions.read(run(suite, "answer_likelihood", {}, tmp_path))
    assert tuple(predictions.info.budget) == find("answer_likelihood").budget
    # Five states of 0, 4, 4, 8, 8 tokens, each read by itself: the answer stands behind it.
    assert predictions.info.cost.tokens_read_per_state > (5 * 3 + 24 + 5 * 3) / 5
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()


def test_answer_likelihood_without_training_problems_says_so(build_suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="answer_likelihood needs training problems"):
        run(build_suite(n_train=0), "answer_likelihood", {}, tmp_path)


def test_confidence_is_minus_the_mean_of_the_last_rows() -> None:
    rows = np.array([[-9, 5], [-1, 2], [-3, 1]], dtype=np.float32)
    assert Confidence(window=1)._score(rows) == pytest.approx(2)
    assert Confidence(window=1, measure="entropy")._score(rows) == pytest.approx(-1.5)
    assert Confidence(window=0)._score(rows) == pytest.approx(3)
    assert Confidence(window=99)._score(rows) == pytest.approx(13 / 3)


CONFIDENCES = """
import numpy as np
from sveb import Estimator
class Mine(Estimator):
    def predict(self, problem):
        found = self.policy.confidences(problem.states, k=2)
        assert [each.shape for each in found] == [(s.n_tokens + 1, 2) for s in problem.states]
        rollouts = self.policy.rollout_confidences(problem, k=2)
        assert [each.shape for each in rollouts] == [(13, 2)] * 4
        if problem.states[0].kind == "root":
            np.testing.assert_allclose([each[0] for each in rollouts], found[0].repeat(4, axis=0), atol=1e-4)
        return [float(each[-1, 0] * 100 + each[-1, 1]) for each in found]
"""


def test_confidences_are_of_the_next_tokens_distribution(suite, write_estimator, tmp_path) -> None:
    import torch

    predictions = Predictions.read(run(suite, write_estimator(CONFIDENCES), {}, tmp_path))
    assert predictions.info.budget == ["group", "logprobs"]
    model = Forward(suite.manifest)._policy.model
    found = dict(zip(predictions.state_ids, predictions.values, strict=True))
    row = next(r for r in suite.table("states").to_pylist() if r["state_id"] == "test-002/probe1/s1")
    with torch.inference_mode():
        p = model(torch.tensor([[1, 7, 7, *row["token_ids"]]])).logits[0, -1].softmax(-1).numpy()
    expected = 100 * np.log(np.sort(p)[-2:]).mean() - (p * np.log(p)).sum()
    assert found["test-002/probe1/s1"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("measure", ["topk", "entropy"])
def test_confidence_reads_training_returns_and_log_probabilities(suite, tmp_path, measure) -> None:
    predictions = Predictions.read(run(suite, "confidence", {"measure": measure}, tmp_path))
    assert tuple(predictions.info.budget) == find("confidence").budget
    assert predictions.info.cost.tokens_read_per_state == pytest.approx(22 / 5)
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()


def test_no_likeliest_tokens_are_refused(suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="the 0 most likely tokens"):
        run(suite, "confidence", {"k": 0}, tmp_path)
