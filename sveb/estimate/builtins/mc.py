"""Monte Carlo: the mean return of k continuations of the state itself.

VinePPO's estimator (arXiv 2410.01679, equation 5). The continuations are the suite's draws, which are not those
behind the truth; their tokens are charged.
"""

from __future__ import annotations

import numpy as np

from sveb.estimate.api import Estimator, Problem, Values


class MC(Estimator):
    """Mean return of k fresh continuations: VinePPO's estimator."""

    def __init__(self, k: int = 9) -> None:
        self.k = k

    def predict(self, problem: Problem) -> Values:
        returns = self.policy.draws(problem.states, self.k)
        # A draw that could not be graded is missing, not a failure; a state without any has no estimate.
        graded = ~np.isnan(returns)
        means = np.full(len(returns), np.nan)
        np.divide(np.where(graded, returns, 0.0).sum(axis=1), graded.sum(axis=1), out=means, where=graded.any(axis=1))
        return means
