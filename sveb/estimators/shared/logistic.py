"""Logistic regression of returns in [0, 1], small and dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sveb.contract.problem import Values

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_PENALTY = 1e-3  # of the standardised coefficients, a row: keeps separable data finite
_ROUNDS = 50
_STEP = 1e-8


@dataclass(frozen=True)
class Logistic:
    """P(success) = 1 / (1 + exp(-(intercept + features @ coef)))."""

    coef: Values
    intercept: float

    def __call__(self, features: npt.NDArray[np.floating]) -> Values:
        """Probabilities (n,) of rows (n, d)."""
        return np.asarray(1 / (1 + np.exp(-(features.astype(np.float64) @ self.coef + self.intercept))))


def fit_logistic_folds(
    folds: list[tuple[npt.NDArray[np.floating], Values]],
) -> tuple[Logistic, list[Logistic]]:
    """The fit to all folds' rows (n, d) and returns (n,), and for each fold the one without it.

    All at the penalty with the least squared error on the folds left out.
    """
    fits = [[_fit(folds[:i] + folds[i + 1 :], penalty) for i in range(len(folds))] for penalty in PENALTIES]
    errors = [
        sum(float(np.sum((model(x) - y) ** 2)) for model, (x, y) in zip(left_out, folds, strict=True))
        for left_out in fits
    ]
    best = int(np.argmin(errors))
    return _fit(folds, PENALTIES[best]), fits[best]


def _fit(folds: list[tuple[npt.NDArray[np.floating], Values]], penalty: float) -> Logistic:
    returns = np.concatenate([y for _, y in folds])
    features = np.concatenate([x for x, _ in folds]).astype(np.float64)
    return fit_logistic(features, returns, np.ones(len(returns)), penalty)


def fit_logistic(features: Values, returns: Values, weights: Values, penalty: float = _PENALTY) -> Logistic:
    """The likeliest coefficients for rows (n, d), returns (n,) in [0, 1] and weights (n,): Newton's method."""
    weights = weights / weights.sum()
    mean = weights @ features
    scale = np.sqrt(weights @ (features - mean) ** 2)
    # A feature that never moves gets no coefficient.
    scale = np.where(scale > 1e-12, scale, np.inf)
    rows = np.column_stack([np.ones(len(features)), (features - mean) / scale])
    ridge = np.diag([1e-9] + [penalty] * features.shape[1])
    beta = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-rows @ beta))
        gradient = rows.T @ (weights * (returns - p)) - ridge @ beta
        hessian = rows.T @ (rows * (weights * np.maximum(p * (1 - p), 1e-9))[:, None]) + ridge
        step = np.linalg.solve(hessian, gradient)
        # Newton's step overshoots where the curve is flat.
        beta = beta + step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < _STEP:
            break
    coef = beta[1:] / scale
    return Logistic(coef, float(beta[0] - mean @ coef))
