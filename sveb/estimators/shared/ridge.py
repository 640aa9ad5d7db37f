"""Ridge regression from second moments, with a penalty chosen on held-out folds. Memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

STRENGTHS = np.logspace(-4, 4, 17)  # penalty over the number of rows, for standardised features


@dataclass(frozen=True)
class Ridge:
    """`cv_mse` (n_strengths,) are the held-out errors behind `strength`."""

    coef: Matrix
    intercept: float
    strength: float
    cv_mse: Matrix

    def __call__(self, features: npt.NDArray[np.floating]) -> Matrix:
        """Predictions (n,) of rows (n, d), clipped to [0, 1]."""
        return np.clip(features.astype(np.float64) @ self.coef + self.intercept, 0.0, 1.0)


def moments(features: npt.NDArray[np.floating], returns: npt.NDArray[np.floating]) -> Matrix:
    """Sum of z z' over rows z = (1, features, return), (d + 2, d + 2): all that ridge needs."""
    rows = np.column_stack([np.ones(len(features)), features.astype(np.float64), returns])
    found: Matrix = rows.T @ rows
    return found


def fit_ridge(folds: Sequence[Matrix]) -> tuple[Ridge, list[Ridge]]:
    """The fit to all folds' moments, and for each fold the one without it, at the same strength."""
    total = np.sum(folds, axis=0)
    without = [ridge_path(total - fold) for fold in folds]
    errors = np.zeros(len(STRENGTHS))
    for fold, path in zip(folds, without, strict=True):
        errors += [squared_error(fold, coef, intercept) for coef, intercept in path]
    errors /= total[0, 0]
    best = int(np.argmin(errors))
    whole, *left_out = (Ridge(*path[best], float(STRENGTHS[best]), errors) for path in (ridge_path(total), *without))
    return whole, left_out


def ridge_path(moments: Matrix) -> list[tuple[Matrix, float]]:
    """Coefficients (d,) and intercept for each strength, from one eigendecomposition."""
    n = moments[0, 0]
    mean, target = moments[0, 1:-1] / n, moments[0, -1] / n
    covariance = moments[1:-1, 1:-1] / n - np.outer(mean, mean)
    with_target = moments[1:-1, -1] / n - mean * target
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    projected = vectors.T @ (with_target / scale)
    path = []
    for strength in STRENGTHS:
        coef = vectors @ (projected / (np.maximum(eigenvalues, 0.0) + strength)) / scale
        path.append((coef, float(target - mean @ coef)))
    return path


def squared_error(moments: Matrix, coef: Matrix, intercept: float) -> float:
    """Sum over the rows behind `moments` of (intercept + features @ coef - return)^2."""
    direction = np.concatenate([[intercept], coef, [-1.0]])
    return float(direction @ moments @ direction)
