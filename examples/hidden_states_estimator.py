"""An estimator that reads the policy's hidden states: `sveb eval examples/hidden_states_estimator.py`."""

import numpy as np

from sveb import Estimator, Problem


class Nearby(Estimator):
    """Mean return of the rollouts, weighted by how close they came to the state in the policy's hidden space."""

    def __init__(self, layer: int = -1, width: float = 0.5):
        self.layer = layer
        self.width = width

    def fit(self, train):
        rows = [row for problem in train[:20] for row in self.policy.rollout_hidden_states(problem, self.layer)]
        self.scale_ = np.linalg.norm(np.std(np.concatenate(rows), axis=0))
        return self

    def predict(self, problem: Problem):
        mine = self.policy.hidden_states(problem.states, self.layer)  # (n_states, d)
        theirs = self.policy.rollout_hidden_states(problem, self.layer)  # one (1 + n_steps, d) a rollout
        nearest = [np.linalg.norm(mine[:, None] - each, axis=2).min(axis=1) for each in theirs]
        # Smooth weights: with the k nearest rollouts, rounding could change which ones are chosen.
        weights = np.exp(-((np.stack(nearest, axis=1) / (self.width * self.scale_)) ** 2))
        returns = problem.group.returns
        return (returns.mean() + weights @ returns) / (1 + weights.sum(axis=1))
