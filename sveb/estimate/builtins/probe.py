"""A linear probe: ridge regression of returns on the policy's hidden state at the last token.

The simplest critic with a frozen backbone: linear classifier probes (Alain and Bengio, arXiv 1610.01644), with the
return as target. Trained at the prompt's end and at every step's end of the training rollouts but the finished
responses; its strength is chosen on held-out training problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sveb.core.errors import SvebError
from sveb.estimate.api import Estimator, Problem, Values

Matrix = npt.NDArray[np.float64]

_FOLDS = 5
_STRENGTHS = np.logspace(-4, 4, 17)  # ridge penalty over the number of rows, for standardised features


class Probe(Estimator):
    """Ridge regression on the policy's hidden states."""

    def __init__(self, layer: int = -1) -> None:
        self.layer = layer

    def fit(self, train: Sequence[Problem]) -> Probe:
        """Sets coef_ (d,), intercept_, strength_ and cv_mse_ (n_strengths,), the held-out errors."""
        moments = self._moments(train)
        if len(moments) < 2:
            raise SvebError("probe needs at least two training problems with rollouts: this suite has too few")
        total = np.sum(moments, axis=0)
        # Each strength is scored on problems that had no part in the fit: rows of one problem are alike.
        errors = np.zeros(len(_STRENGTHS))
        for held_out in moments:
            for i, (coef, intercept) in enumerate(_ridge_path(total - held_out)):
                errors[i] += _squared_error(held_out, coef, intercept)
        self.cv_mse_ = errors / total[0, 0]
        best = int(np.argmin(errors))
        self.strength_ = float(_STRENGTHS[best])
        self.coef_, self.intercept_ = _ridge_path(total)[best]
        return self

    def predict(self, problem: Problem) -> Values:
        hidden = self.policy.hidden_states(problem.states, self.layer).astype(np.float64)
        return np.clip(hidden @ self.coef_ + self.intercept_, 0.0, 1.0)

    def _moments(self, train: Sequence[Problem]) -> list[Matrix]:
        """For each fold of problems the sum of z z' over rows z = (1, features, return): all that ridge needs."""
        folds: dict[int, Matrix] = {}
        for number, problem in enumerate(train):
            group = problem.group
            rows = []
            for hidden, tokens, ends, return_ in zip(
                self.policy.rollout_hidden_states(problem, self.layer), group.token_ids, group.step_ends,
                group.returns, strict=True,
            ):  # fmt: skip
                # A finished response is no state; its hidden state knows the answer.
                features = hidden[: 1 + int((ends < len(tokens)).sum())].astype(np.float64)
                ones = np.ones((len(features), 1))
                rows.append(np.hstack([ones, features, return_ * ones]))
            if rows:
                stacked = np.concatenate(rows)
                fold = number % _FOLDS
                folds[fold] = folds.get(fold, 0.0) + stacked.T @ stacked
        return list(folds.values())


def _ridge_path(moments: Matrix) -> list[tuple[Matrix, float]]:
    """Coefficients (d,) and intercept for each strength, from one eigendecomposition."""
    n = moments[0, 0]
    mean, target = moments[0, 1:-1] / n, moments[0, -1] / n
    covariance = moments[1:-1, 1:-1] / n - np.outer(mean, mean)
    with_target = moments[1:-1, -1] / n - mean * target
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    projected = vectors.T @ (with_target / scale)
    path = []
    for strength in _STRENGTHS:
        coef = vectors @ (projected / (np.maximum(eigenvalues, 0.0) + strength)) / scale
        path.append((coef, float(target - mean @ coef)))
    return path


def _squared_error(moments: Matrix, coef: Matrix, intercept: float) -> float:
    """Sum over the rows behind `moments` of (intercept + features @ coef - return)^2."""
    direction = np.concatenate([[intercept], coef, [-1.0]])
    return float(direction @ moments @ direction)
