"""A linear probe: ridge regression of returns on the policy's hidden state at the last token.

The simplest critic with a frozen backbone: linear classifier probes (Alain and Bengio, arXiv 1610.01644), with the
return as target. Trained at the prompt's end and at every step's end of the training rollouts but the finished
responses; its strength is chosen on held-out training problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.core.errors import SvebError
from sveb.estimate.api import Estimator, Problem, Values
from sveb.estimate.builtins.ridge import Matrix, fit_ridge, moments
from sveb.estimate.builtins.states import unfinished_ends

FOLDS = 5


class Probe(Estimator):
    """Ridge regression on the policy's hidden states."""

    def __init__(self, layer: int = -1) -> None:
        self.layer = layer

    def fit(self, train: Sequence[Problem]) -> Probe:
        """Sets model_: each strength is scored on problems that had no part in the fit, whose rows are alike."""
        folds = self._folds(train)
        if len(folds) < 2:
            raise SvebError("probe needs at least two training problems with rollouts: this suite has too few")
        self.model_, _ = fit_ridge(folds)
        return self

    def predict(self, problem: Problem) -> Values:
        return self.model_(self.policy.hidden_states(problem.states, self.layer))

    def _folds(self, train: Sequence[Problem]) -> list[Matrix]:
        folds: dict[int, Matrix] = {}
        for number, problem in enumerate(train):
            group = problem.group
            for i, hidden in enumerate(self.policy.rollout_hidden_states(problem, self.layer)):
                # A finished response is no state; its hidden state knows the answer.
                features = hidden[: len(unfinished_ends(group, i))]
                found = moments(features, np.full(len(features), group.returns[i]))
                folds[number % FOLDS] = folds.get(number % FOLDS, 0.0) + found
        return list(folds.values())
