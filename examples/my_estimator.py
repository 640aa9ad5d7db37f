"""A first estimator: `sveb eval examples/my_estimator.py`."""

import numpy as np

from sveb import Estimator, Problem


class LengthAware(Estimator):
    """Group mean, lowered when a prefix is longer than the problem's correct responses."""

    def __init__(self, strength: float = 0.5):
        self.strength = strength

    def predict(self, problem: Problem):
        group = problem.group
        correct = [len(tokens) for tokens, r in zip(group.token_ids, group.returns, strict=True) if r == 1]
        values = np.full(len(problem.states), group.returns.mean())
        for i, state in enumerate(problem.states):
            if correct:  # share of the correct responses that are shorter than this prefix
                values[i] *= 1 - self.strength * np.mean([length < state.n_tokens for length in correct])
        return values
