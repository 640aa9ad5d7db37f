"""The group mean, shrunk towards what groups of this task usually look like.

Empirical Bayes with a beta-binomial model (Casella, The American Statistician 39, 1985): a problem's success rate
has a Beta(a, b) prior, fitted to the training groups by marginal likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.common.beta_binomial import fit_beta
from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin


@builtin(budget=("group", "train_returns"), cost="free")
class ShrunkMean(Estimator):
    """Group mean shrunk by a Beta prior that is fitted to the training groups."""

    def fit(self, train: Sequence[Problem]) -> ShrunkMean:
        """Sets a_ and b_."""
        groups = [problem.group.returns for problem in train]
        sums = np.array([returns.sum() for returns in groups if len(returns)])
        counts = np.array([len(returns) for returns in groups if len(returns)])
        if len(sums) < 2:
            raise SvebError("shrunk_mean needs at least two training problems with rollouts: this suite has too few")
        self.a_, self.b_ = fit_beta(sums, counts)
        return self

    def predict(self, problem: Problem) -> Values:
        returns = problem.group.returns
        value = (returns.sum() + self.a_) / (len(returns) + self.a_ + self.b_)
        return np.full(len(problem.states), value)
