"""The mean return for every state: what is known before any problem is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin


@builtin(budget=("train_returns",), cost="free")
class Constant(Estimator):
    """Mean return of the training problems."""

    def fit(self, train: Sequence[Problem]) -> Constant:
        means = [problem.group.returns.mean() for problem in train if len(problem.group)]
        if not means:
            raise SvebError("constant needs training problems with returns, and this suite has none")
        self.mean_ = float(np.mean(means))
        return self

    def predict(self, problem: Problem) -> Values:
        return np.full(len(problem.states), self.mean_)
