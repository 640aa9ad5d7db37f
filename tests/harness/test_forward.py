"""Forward passes for an estimator: shared prefixes, the right positions, the right policy."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.common.prefix_cover import cover
from sveb.harness.forward_passes import Forward
from sveb.harness.run_estimator import run
from sveb.policies import engines
from sveb.runs.predictions import Predictions

TOKENS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), max_size=12)


@given(TOKENS)
def test_every_sequence_is_covered_by_one_that_extends_it_and_none_is_read_in_vain(sequences: list[list[int]]) -> None:
    read = cover([np.array(sequence, dtype=np.int32) for sequence in sequences])
    for sequence, index in zip(sequences, read.index, strict=True):
        assert read.longest[index][: len(sequence)] == sequence
    for one in read.longest:
        assert one in sequences
        assert sum(other[: len(one)] == one for other in read.longest) == 1


class Countable:
    """A policy whose hidden state at t is (sum of tokens up to t, t), and whose log-probability is -token."""

    fingerprint: ClassVar = {"sha256": "right"}

    def hidden_states(self, sequences: Sequence[Sequence[int]], layer: int = -1) -> list[np.ndarray]:
        if layer > 2:
            raise SvebError(f"layer {layer} does not exist")
        return [np.column_stack([np.cumsum(s), np.arange(len(s))]).astype(np.float32) * (layer + 2) for s in sequences]

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        return [-np.array(s[1:], dtype=np.float32) for s in sequences]

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def countable(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Puts the countable policy in the place of the real one; `test_real_...` below runs the real one."""
    calls: list[tuple] = []

    def load(reference: str, engine: str | None = None, *, revision: str | None = None, **_: object) -> Countable:
        calls.append((reference, engine, revision))
        return Countable()

    monkeypatch.setattr(engines, "load_policy", load)
    return calls


def test_the_policy_is_loaded_once_and_only_when_asked_for(suite, countable, tmp_path) -> None:
    run(suite, "group_mean", {}, tmp_path)
    assert countable == []
    run(suite, "probe", {}, tmp_path)
    assert countable == [("package:nano-early", "transformers", None)]


@pytest.mark.usefixtures("countable")
def test_hidden_states_are_those_of_the_last_token_of_prompt_and_prefix(suite, write_estimator, tmp_path) -> None:
    source = """
import numpy as np
from sveb import Estimator
class Mine(Estimator):
    def predict(self, problem):
        hidden = self.policy.hidden_states(problem.states, layer=0)
        sums = [problem.prompt_token_ids.sum() + s.token_ids.sum() for s in problem.states]
        assert hidden.dtype == np.float32
        assert hidden.tolist() == [[2 * total, 2 * (2 + s.n_tokens)] for total, s in zip(sums, problem.states)]
        one = self.policy.hidden_states(problem.states[-1:])
        assert one.tolist() == [[sums[-1], 2 + problem.states[-1].n_tokens]]
        return [0.5] * len(problem.states)
"""
    info = Predictions.read(run(suite, write_estimator(source), {}, tmp_path)).info
    assert info.budget == ["hidden_states"]


@pytest.mark.usefixtures("countable")
def test_rollouts_are_read_at_the_prompts_end_and_at_every_steps_end(suite, write_estimator, tmp_path) -> None:
    source = """
import numpy as np
from sveb import Estimator
class Mine(Estimator):
    def check(self, problem):
        found = self.policy.rollout_hidden_states(problem)
        assert len(found) == 4
        for hidden, tokens in zip(found, problem.group.token_ids):
            sums = problem.prompt_token_ids.sum() + np.concatenate([[0], np.cumsum(tokens)])[[0, 4, 8, 12]]
            assert hidden.tolist() == [[total, 2 + at] for total, at in zip(sums, (0, 4, 8, 12))]
    def fit(self, train):
        for problem in train:
            self.check(problem)
    def predict(self, problem):
        self.check(problem)
        return [0.5] * len(problem.states)
"""
    info = Predictions.read(run(suite, write_estimator(source), {}, tmp_path)).info
    assert info.budget == ["group", "train_returns", "hidden_states"]
    # 3 problems x 4 rollouts x (3 + 12) tokens; what training read is not in the figure a state.
    assert info.cost.tokens_read_per_state == pytest.approx(180 / 15)


@pytest.mark.usefixtures("countable")
def test_logprobs_are_those_of_the_response(suite, write_estimator, tmp_path) -> None:
    source = """
from sveb import Estimator
class Mine(Estimator):
    def predict(self, problem):
        found = self.policy.logprobs(problem.states)
        assert [row.tolist() for row in found] == [(-s.token_ids).tolist() for s in problem.states]
        return [0.5] * len(problem.states)
"""
    info = Predictions.read(run(suite, write_estimator(source), {}, tmp_path)).info
    assert info.budget == ["logprobs"]
    assert info.cost.tokens_read_per_state == pytest.approx(3 * 22 / 15)


@pytest.mark.usefixtures("countable")
def test_a_missing_layer_is_told_at_their_line(suite, write_estimator, tmp_path) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def predict(self, problem):\n"
        "        return self.policy.hidden_states(problem.states, 9)[:, 0]\n"
    )
    with pytest.raises(SvebError, match=r"mine.py:4: layer 9 does not exist \(problem 1 of 3"):
        run(suite, write_estimator(source), {}, tmp_path)


@pytest.mark.usefixtures("countable")
def test_another_policy_than_the_suites_is_refused(suite) -> None:
    from dataclasses import replace

    policy = {**suite.manifest.policy, "sha256": "other"}
    forward = Forward(replace(suite.manifest, policy=policy))
    with pytest.raises(SvebError, match="not the one that made the suite tiny"):
        forward.logprobs([np.array([1, 2], dtype=np.int32)], [1])


def test_real_policy_gives_a_prefix_the_same_states_alone_and_beside_its_extensions(suite) -> None:
    forward = Forward(suite.manifest)
    long = np.array([1, 5, 7, 20, 21, 22, 23, 24], dtype=np.int32)
    prefixes = [long[:3], long[:5], long, np.array([1, 5, 7, 30], dtype=np.int32)]
    last = [np.array([len(prefix)]) for prefix in prefixes]
    together = forward.hidden_at(prefixes, last, -1)
    assert forward.tokens_read == 8 + 4
    for prefix, at, shared in zip(prefixes, last, together, strict=True):
        (alone,) = forward.hidden_at([prefix], [at], -1)
        np.testing.assert_allclose(alone, shared, atol=1e-4)
    shared_logprobs = forward.logprobs(prefixes, [3] * 4)
    assert [len(row) for row in shared_logprobs] == [0, 2, 5, 1]
    (alone,) = forward.logprobs([long[:5]], [3])
    np.testing.assert_allclose(alone, shared_logprobs[1], atol=1e-4)
