"""How far along is the response? A baseline that knows the position and nothing about the content.

Logistic regression of returns on step index, tokens so far, tokens so far over the mean length of the problem's
rollouts, and numbers so far. A state's own final length is its future and is not used: for a training rollout, too,
the mean length is that of the other rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.numca import numbers
from sveb.estimators.registry import builtin
from sveb.estimators.shared.logistic import fit_logistic


@builtin(budget=("group", "train_returns"), cost="free")
class Position(Estimator):
    """Logistic regression on step, length and count of numbers so far."""

    def fit(self, train: Sequence[Problem]) -> Position:
        """Sets model_, fitted at the prompt and at every step's end of the training rollouts but finished responses."""
        rows, returns, weights = [], [], []
        for problem in train:
            group = problem.group
            if len(group) < 2:
                continue
            lengths = np.array([len(tokens) for tokens in group.token_ids])
            texts = self.policy.rollout_prefix_texts(problem)
            for i, (length, return_) in enumerate(zip(lengths, group.returns, strict=True)):
                others = np.delete(lengths, i).mean()
                ends = [0, *(int(end) for end in group.step_ends[i] if end < length)]
                for step, (end, text) in enumerate(zip(ends, texts[i], strict=False)):
                    rows.append(_features(step, end, others, text))
                    returns.append(return_)
                    weights.append(1 / len(ends))
        if not rows:
            raise SvebError("position needs training problems with at least two rollouts: this suite has none")
        self.model_ = fit_logistic(np.array(rows), np.array(returns), np.array(weights))
        return self

    def predict(self, problem: Problem) -> Values:
        mean_length = float(np.mean([len(tokens) for tokens in problem.group.token_ids]))
        rows = [_features(state.step_index, state.n_tokens, mean_length, state.text) for state in problem.states]
        return self.model_(np.array(rows))


def _features(step: int, n_tokens: int, mean_length: float, text: str) -> list[float]:
    return [step, n_tokens, n_tokens / max(mean_length, 1.0), len(numbers(text))]
