"""The probe's opinion and the group's evidence, weighed by how near the group comes.

V = (kappa f(s) + sum_i w_i r_i) / (kappa + sum_i w_i): f is `probe`'s ridge regression on the last token's hidden
state, worth kappa rollouts; w_i in [0, 1] is `kernel`'s unnormalised weight of context rollout i. So the probe speaks
where no rollout came near and the rollouts where many did, as a prior and its data do. kappa and the bandwidth are
those with the least leave-one-rollout-out error on the training problems, each predicted by a probe that was fitted
without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from sveb.core.errors import SvebError
from sveb.estimate.api import Estimator, Problem, Values
from sveb.estimate.builtins.kernel import BANDWIDTHS
from sveb.estimate.builtins.pooled import (
    Matrix,
    Points,
    left_out,
    nearest,
    rollout_points,
    state_points,
    whitening,
)
from sveb.estimate.builtins.probe import FOLDS
from sveb.estimate.builtins.ridge import Ridge, fit_ridge, moments
from sveb.estimate.builtins.states import MOST_PROBLEMS

_KAPPAS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class ProbeGroup(Estimator):
    """Linear probe on hidden states, corrected by the returns of rollouts that passed nearby."""

    def __init__(self, layer: int = -1, n_components: int = 32) -> None:
        self.layer = layer
        self.n_components = n_components

    def fit(self, train: Sequence[Problem]) -> ProbeGroup:
        """Sets model_ (the probe), to_white_ (d, n_components), kappa_, bandwidth_ and loo_mse_, their error."""
        folds: dict[int, Matrix] = {}
        kept: list[tuple[int, list[Points], Values]] = []
        for number, problem in enumerate(train):
            group, returns = rollout_points(self.policy, problem, self.layer), problem.group.returns
            for each, return_ in zip(group, returns, strict=True):
                found = moments(each.last, np.full(len(each.last), return_))
                folds[number % FOLDS] = folds.get(number % FOLDS, 0.0) + found
            if len(group) > 1 and len(kept) < MOST_PROBLEMS:
                kept.append((number % FOLDS, group, returns))
        if len(folds) < 2 or not kept:
            raise SvebError(
                "probe_group needs at least two training problems with two rollouts: this suite has too few"
            )
        self.model_, without = fit_ridge(list(folds.values()))
        self._weigh(kept, dict(zip(folds, without, strict=True)))
        return self

    def predict(self, problem: Problem) -> Values:
        states = state_points(self.policy, problem, self.layer)
        prior = self.model_(states.last)
        returns = problem.group.returns
        if not len(returns):
            return prior
        rollouts = [each.pooled for each in rollout_points(self.policy, problem, self.layer)]
        squared = nearest(states.pooled, rollouts, self.to_white_)
        return combined(prior, squared, returns, self.kappa_, self.bandwidth_)

    def _weigh(self, kept: Sequence[tuple[int, list[Points], Values]], without: dict[int, Ridge]) -> None:
        self.to_white_ = whitening([group for _, group, _ in kept], self.n_components)
        grid = list(product(_KAPPAS, (BANDWIDTHS * np.sqrt(self.to_white_.shape[1])).tolist()))
        errors = np.zeros(len(grid))
        for fold, group, returns in kept:
            for i, squared in enumerate(left_out(group, self.to_white_)):
                prior, others = without[fold](group[i].last), np.delete(returns, i)
                for place, (kappa, bandwidth) in enumerate(grid):
                    errors[place] += np.mean((combined(prior, squared, others, kappa, bandwidth) - returns[i]) ** 2)
        errors /= sum(len(group) for _, group, _ in kept)
        best = int(np.argmin(errors))
        self.kappa_, self.bandwidth_ = grid[best]
        self.loo_mse_ = float(errors[best])


def combined(prior: Values, squared: Matrix, returns: Values, kappa: float, bandwidth: float) -> Values:
    """(kappa prior + sum w r) / (kappa + sum w) for each row (n_rollouts,) of squared distances."""
    weights = np.exp(-squared / (2 * bandwidth**2))
    values: Values = (kappa * prior + weights @ returns) / (kappa + weights.sum(axis=1))
    return values
