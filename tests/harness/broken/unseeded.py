"""Resamples the group with a generator of its own."""

import numpy as np

from sveb import Estimator, Problem


class Bagged(Estimator):
    def predict(self, problem: Problem):
        returns = problem.group.returns
        return [np.random.default_rng().choice(returns, len(returns)).mean() for _ in problem.states]
