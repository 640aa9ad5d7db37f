"""Kernel regression on hidden states: rollouts that passed nearby vote.

Nadaraya-Watson (Theory of Probability and its Applications 9, 1964) with a Gaussian kernel on mean-pooled hidden
states, reduced to `n_components` principal components of unit variance. Every context rollout votes once, with its
nearest prefix; the bandwidth is the one with the least leave-one-rollout-out error on the training problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import MOST_PROBLEMS
from sveb.estimators.shared.pooled_points import (
    Matrix,
    Points,
    left_out,
    nearest,
    rollout_points,
    state_points,
    whitening,
)

BANDWIDTHS = 2.0 ** np.arange(-5, 3.5, 0.5)  # in units of the square root of the number of components


@builtin(budget=("group", "train_returns", "hidden_states"), cost="reads")
class Kernel(Estimator):
    """Mean return of the rollouts weighted by a Gaussian kernel on hidden states."""

    def __init__(self, layer: int = -1, n_components: int = 32) -> None:
        self.layer = layer
        self.n_components = n_components

    def fit(self, train: Sequence[Problem]) -> Kernel:
        """Sets to_white_ (d, n_components), bandwidth_ and loo_mse_ (n_bandwidths,)."""
        read = [
            (rollout_points(self.policy, problem, self.layer), problem.group.returns)
            for problem in islice(train, MOST_PROBLEMS)
            if len(problem.group) > 1
        ]
        if not read:
            raise SvebError("kernel needs training problems with at least two rollouts: this suite has none")
        self.to_white_ = whitening([group for group, _ in read], self.n_components)
        bandwidths = BANDWIDTHS * np.sqrt(self.to_white_.shape[1])
        self.loo_mse_ = np.zeros(len(bandwidths))
        n_rollouts = sum(len(group) for group, _ in read)
        for group, returns in read:
            for i, squared in enumerate(left_out(group, self.to_white_)):
                others = np.delete(returns, i)
                for place, bandwidth in enumerate(bandwidths):
                    errors = kernel_mean(squared, others, bandwidth) - returns[i]
                    self.loo_mse_[place] += np.mean(errors**2) / n_rollouts
        self.bandwidth_ = float(bandwidths[np.argmin(self.loo_mse_)])
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        read = state_points(self.policy, problems, self.layer)
        return [self._values(problem, states) for problem, states in zip(problems, read, strict=True)]

    def _values(self, problem: Problem, states: Points) -> Values:
        returns = problem.group.returns
        if not len(returns):
            return np.full(len(problem.states), np.nan)
        points = problem.remember(f"{self}.points", lambda: rollout_points(self.policy, problem, self.layer))
        rollouts = [each.pooled for each in points]
        squared = nearest(states.pooled, rollouts, self.to_white_)
        return kernel_mean(squared, returns, self.bandwidth_)


def kernel_mean(squared: Matrix, returns: Values, bandwidth: float) -> Values:
    """For each row (n_rollouts,) of squared distances the mean return weighted by exp(-d^2 / (2 bandwidth^2))."""
    # Relative to the nearest, which would otherwise vanish too where all are far.
    weights = np.exp((squared.min(axis=1, keepdims=True) - squared) / (2 * bandwidth**2))
    values: Values = weights @ returns / weights.sum(axis=1)
    return values
