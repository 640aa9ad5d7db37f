"""A baseline that knows the number of tokens so far, and nothing else.

Logistic regression of returns on n and log(1 + n), where n is the number of tokens so far.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.logistic import fit_logistic


@builtin(budget=("train_returns",), cost="free")
class Length(Estimator):
    """Logistic regression on tokens so far, and on nothing else."""

    def fit(self, train: Sequence[Problem]) -> Length:
        """Sets model_, fitted at the prompt and at every step's end of the training rollouts but finished responses."""
        lengths, returns, weights = [], [], []
        for problem in train:
            group = problem.group
            for tokens, return_, step_ends in zip(group.token_ids, group.returns, group.step_ends, strict=True):
                ends = [0, *(int(end) for end in step_ends if end < len(tokens))]
                lengths += ends
                returns += [return_] * len(ends)
                weights += [1 / len(ends)] * len(ends)
        if not lengths:
            raise SvebError("length needs training problems with rollouts: this suite has none")
        self.model_ = fit_logistic(_features(lengths), np.array(returns), np.array(weights))
        return self

    def predict(self, problem: Problem) -> Values:
        return self.model_(_features([state.n_tokens for state in problem.states]))


def _features(lengths: Sequence[int]) -> npt.NDArray[np.float64]:
    n = np.array(lengths, dtype=np.float64)
    return np.stack([n, np.log1p(n)], axis=1)
