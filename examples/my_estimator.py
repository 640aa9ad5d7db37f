"""A first estimator of your own: `sveb eval examples/my_estimator.py`."""

import numpy as np

from sveb import Estimator, Problem


class LengthAware(Estimator):
    """Group mean, lowered once a prefix outgrows the problem's correct responses."""

    def __init__(self, strength: float = 0.5):
        self.strength = strength

    def predict(self, problem: Problem):
        group = problem.group
        lengths = np.array([len(tokens) for tokens in group.token_ids])
        so_far = np.array([state.n_tokens for state in problem.states])
        # Share of the correct responses that were already over at this length.
        over = (lengths[group.returns > 0.5] < so_far[:, None]).mean(axis=1) if group.returns.any() else 1.0
        return group.returns.mean() * (1 - self.strength * over)
