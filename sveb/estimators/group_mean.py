"""The mean return of the problem's context rollouts.

GRPO's baseline (arXiv 2402.03300, section 4.1). It is also RLOO's (arXiv 2402.14740), because the rollout that a state
was cut from is not in the group. The metric `skill` is 0 for it.
"""

from __future__ import annotations

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin


@builtin(budget=("group",), cost="free")
class GroupMean(Estimator):
    """Mean return of the context rollouts: GRPO's baseline."""

    def predict(self, problem: Problem) -> Values:
        returns = problem.group.returns
        return np.full(len(problem.states), returns.mean() if len(returns) else np.nan)
