"""Keeps what it learned as a lambda."""

import numpy as np

from sveb import Estimator, Problem


class Closure(Estimator):
    def fit(self, train):
        mean = np.mean([problem.group.returns.mean() for problem in train])
        self.value_ = lambda n_states: np.full(n_states, mean)

    def predict(self, problem: Problem):
        return self.value_(len(problem.states))
