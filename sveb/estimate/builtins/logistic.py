"""Logistic regression of returns in [0, 1], small and dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sveb.estimate.api import Values

_PENALTY = 1e-3  # of the standardised coefficients, a row: keeps separable data finite
_ROUNDS = 50
_STEP = 1e-8


@dataclass(frozen=True)
class Logistic:
    """P(success) = 1 / (1 + exp(-(intercept + features @ coef)))."""

    coef: Values
    intercept: float

    def __call__(self, features: Values) -> Values:
        """Probabilities (n,) of rows (n, d)."""
        return np.asarray(1 / (1 + np.exp(-(features @ self.coef + self.intercept))))


def fit_logistic(features: Values, returns: Values, weights: Values) -> Logistic:
    """The likeliest coefficients for rows (n, d), returns (n,) in [0, 1] and weights (n,): Newton's method."""
    weights = weights / weights.sum()
    mean = weights @ features
    scale = np.sqrt(weights @ (features - mean) ** 2)
    # A feature that never moves gets no coefficient.
    scale = np.where(scale > 1e-12, scale, np.inf)
    rows = np.column_stack([np.ones(len(features)), (features - mean) / scale])
    penalty = np.diag([1e-9] + [_PENALTY] * features.shape[1])
    beta = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-rows @ beta))
        gradient = rows.T @ (weights * (returns - p)) - penalty @ beta
        hessian = rows.T @ (rows * (weights * np.maximum(p * (1 - p), 1e-9))[:, None]) + penalty
        step = np.linalg.solve(hessian, gradient)
        # Newton's step overshoots where the curve is flat.
        beta = beta + step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < _STEP:
            break
    coef = beta[1:] / scale
    return Logistic(coef, float(beta[0] - mean @ coef))
