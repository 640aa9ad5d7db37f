"""Monte Carlo: the mean return of k continuations of the state itself.

VinePPO's estimator (arXiv 2410.01679, equation 5). The continuations are the suite's draws, or are sampled live.
Neither are the ones behind the truth, and their tokens are charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import by_problem


@builtin(budget=("extra_rollouts",), cost="samples")
class MC(Estimator):
    """Mean return of k fresh continuations: VinePPO's estimator."""

    def __init__(self, k: int = 9, source: Literal["draws", "live"] = "draws") -> None:
        self.k = k
        self.source = source

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        states = [state for problem in problems for state in problem.states]
        if self.source == "draws":
            returns = self.policy.draws(states, self.k)
        else:
            returns = np.array([[one.return_ for one in row] for row in self.policy.sample(states, self.k)])
        # A draw that could not be graded is missing, not a failure; a state without graded draws has no estimate.
        graded = ~np.isnan(returns)
        means = np.full(len(returns), np.nan)
        np.divide(np.where(graded, returns, 0.0).sum(axis=1), graded.sum(axis=1), out=means, where=graded.any(axis=1))
        return by_problem(means, problems)
