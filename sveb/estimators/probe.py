"""A linear probe: regression of returns on the policy's hidden state at the last token.

The simplest critic with a frozen backbone: linear classifier probes (Alain and Bengio, arXiv 1610.01644), with the
return as target. The layer is the one where ridge regression errs least on held-out training problems, the penalty the
one that does best there; with `entropy` the policy's mean entropy so far is read too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import by_problem
from sveb.estimators.shared.probing import Kind, fit_probe, state_features


@builtin(budget=("train_returns", "hidden_states"), cost="reads")
class Probe(Estimator):
    """Linear regression, ridge or logistic, on the policy's hidden states."""

    def __init__(self, model: Kind = "logistic", layer: int | None = None, entropy: bool = False) -> None:
        self.model = model
        self.layer = layer
        self.entropy = entropy

    def fit(self, train: Sequence[Problem]) -> Probe:
        """Sets regression_, layer_, and held_out_mse_, which tells ridge's error at each layer that was tried."""
        fitted = fit_probe(self.policy, train, self.model, self.layer, self.entropy, "probe")
        self.regression_, self.layer_, self.held_out_mse_ = fitted.regression, fitted.layer, fitted.held_out_mse
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        states = [state for problem in problems for state in problem.states]
        hidden = self.policy.hidden_states(states, self.layer_)
        features = by_problem(state_features(self.policy, states, hidden, self.entropy), problems)
        return [np.asarray(self.regression_(rows)) for rows in features]
