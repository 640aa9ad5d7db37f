"""The probe's value and the group's returns, weighted by how near the group's rollouts come.

V = (kappa f(s) + sum_i w_i r_i) / (kappa + sum_i w_i): f is `probe`'s regression on the last token's hidden state,
worth kappa rollouts; w_i in [0, 1] is `kernel`'s unnormalised weight of context rollout i, on the same layer. So the
probe decides where no rollout came near, and the rollouts decide where many did, as a prior and its data do. kappa and
the bandwidth have the smallest leave-one-rollout-out error on the training problems, each predicted by a probe that was
fitted without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.kernel import BANDWIDTHS
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
from sveb.estimators.shared.probing import FOLDS, Kind, fit_probe, rollout_features, state_features

_KAPPAS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

# For each rollout of a training problem: values of its states by a probe fitted without the problem, and the states.
_LeftOut = tuple[list[Values], list[Points], Values]


@builtin(budget=("group", "train_returns", "hidden_states"), cost="reads")
class ProbeGroup(Estimator):
    """Linear probe on hidden states, corrected by the returns of rollouts that passed nearby."""

    def __init__(
        self, model: Kind = "logistic", layer: int | None = None, entropy: bool = False, n_components: int = 32
    ) -> None:
        """All but `n_components` are `probe`'s."""
        self.model = model
        self.layer = layer
        self.entropy = entropy
        self.n_components = n_components

    def fit(self, train: Sequence[Problem]) -> ProbeGroup:
        """Sets the probe's regression_, layer_ and held_out_mse_, to_white_ (d, n_components), kappa_, bandwidth_
        and loo_mse_, these two's error.
        """
        probe = fit_probe(self.policy, train, self.model, self.layer, self.entropy, "probe_group")
        self.regression_, self.layer_, self.held_out_mse_ = probe.regression, probe.layer, probe.held_out_mse
        kept: list[_LeftOut] = []
        for number, problem in enumerate(islice(train, MOST_PROBLEMS)):
            if len(problem.group) > 1:
                features = rollout_features(self.policy, problem, self.layer_, self.entropy)
                priors = [probe.without[number % FOLDS](rows) for rows in features]
                kept.append((priors, rollout_points(self.policy, problem, self.layer_), problem.group.returns))
        if not kept:
            raise SvebError("probe_group needs training problems with at least two rollouts: this suite has none")
        self._weigh(kept)
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        read = state_points(self.policy, problems, self.layer_)
        return [self._values(problem, states) for problem, states in zip(problems, read, strict=True)]

    def _values(self, problem: Problem, states: Points) -> Values:
        prior = self.regression_(state_features(self.policy, problem.states, states.last, self.entropy))
        returns = problem.group.returns
        if not len(returns):
            return prior
        points = problem.remember(f"{self}.points", lambda: rollout_points(self.policy, problem, self.layer_))
        rollouts = [each.pooled for each in points]
        squared = nearest(states.pooled, rollouts, self.to_white_)
        return combined(prior, squared, returns, self.kappa_, self.bandwidth_)

    def _weigh(self, kept: Sequence[_LeftOut]) -> None:
        self.to_white_ = whitening([group for _, group, _ in kept], self.n_components)
        grid = list(product(_KAPPAS, (BANDWIDTHS * np.sqrt(self.to_white_.shape[1])).tolist()))
        errors = np.zeros(len(grid))
        for priors, group, returns in kept:
            for i, squared in enumerate(left_out(group, self.to_white_)):
                others = np.delete(returns, i)
                for place, (kappa, bandwidth) in enumerate(grid):
                    errors[place] += np.mean((combined(priors[i], squared, others, kappa, bandwidth) - returns[i]) ** 2)
        errors /= sum(len(group) for _, group, _ in kept)
        best = int(np.argmin(errors))
        self.kappa_, self.bandwidth_ = grid[best]
        self.loo_mse_ = float(errors[best])


def combined(prior: Values, squared: Matrix, returns: Values, kappa: float, bandwidth: float) -> Values:
    """(kappa prior + sum w r) / (kappa + sum w) for each row (n_rollouts,) of squared distances."""
    weights = np.exp(-squared / (2 * bandwidth**2))
    values: Values = (kappa * prior + weights @ returns) / (kappa + weights.sum(axis=1))
    return values
