"""An estimator that pays for extra continuations: `sveb eval examples/extra_rollouts_estimator.py --set k=2`."""

import numpy as np

from sveb import Estimator, Problem


class Bought(Estimator):
    """Mean of k fresh continuations and the group mean; the group mean counts as `prior` continuations."""

    def __init__(self, k: int = 4, prior: float = 2.0):
        self.k = k
        self.prior = prior

    def predict(self, problem: Problem):
        returns = self.policy.draws(problem.states, self.k)  # (n_states, k), NaN where one could not be graded
        counts = np.sum(~np.isnan(returns), axis=1)
        return (self.prior * problem.group.returns.mean() + np.nansum(returns, axis=1)) / (self.prior + counts)
