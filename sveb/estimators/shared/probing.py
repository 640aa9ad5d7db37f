"""Regressions of returns on a layer's hidden states, fitted and chosen on training problems alone.

Rows are the end of the prompt and of every step but the last of the training rollouts: the positions at which a suite
cuts its states. Problems are split into folds; the choice with the smallest error on folds left out of the fit wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError
from sveb.contract.policy_access import PolicyAccess
from sveb.contract.problem import Problem, State, Values
from sveb.estimators.shared.logistic import fit_logistic_folds
from sveb.estimators.shared.needed_states import unfinished_ends
from sveb.estimators.shared.ridge import Matrix, fit_ridge, moments

Features = npt.NDArray[np.floating]
Regression = Callable[[Features], Values]
Kind = Literal["ridge", "logistic"]

FOLDS = 5
_MOST_LAYERS = 6
_MEMORY = 2**30  # bytes for the moments of several layers


@dataclass(frozen=True)
class FittedProbe:
    """A `regression` on `layer`; `without` holds for each fold the one fitted without it.

    `held_out_mse` is the error of ridge on problems left out of the fit, at each layer that was tried.
    """

    layer: int
    regression: Regression
    without: dict[int, Regression]
    held_out_mse: dict[int, float]


def fit_probe(
    policy: PolicyAccess, train: Sequence[Problem], kind: Kind, layer: int | None, entropy: bool, name: str
) -> FittedProbe:
    """The regression on `layer`, or on the layer with the smallest error of ridge.

    Raises SvebError, in the name of the estimator `name`, if there are too few data.
    """
    first = next((problem for problem in train if len(problem.group)), None)
    errors: dict[int, float] = {}
    best: tuple[Regression, dict[int, Regression]] | None = None
    tried = _layers(policy, first) if layer is None and first is not None else [layer or 0]
    for together in _that_fit(tried, policy, first):
        for each, folds in _moments(policy, train, together, entropy).items():
            if len(folds) < 2:
                raise SvebError(f"{name} needs at least two training problems with rollouts: this suite has too few")
            whole, without = fit_ridge(list(folds.values()))
            errors[each] = float(whole.cv_mse.min())
            if errors[each] == min(errors.values()):
                best = whole, dict(zip(folds, without, strict=True))
    assert best is not None  # at least one layer was tried
    chosen = min(errors, key=errors.__getitem__)
    if kind == "logistic":
        rows = _rows(policy, train, chosen, entropy)
        fitted, left_out = fit_logistic_folds(list(rows.values()))
        best = fitted, dict(zip(rows, left_out, strict=True))
    return FittedProbe(chosen, *best, errors)


def rollout_features(policy: PolicyAccess, problem: Problem, layer: int, entropy: bool) -> list[Features]:
    """For each rollout of the group the features of its unfinished states: (n_states, d), or d + 1 with `entropy`."""
    hidden = policy.rollout_hidden_states(problem, layer)
    ends = [unfinished_ends(problem.group, i) for i in range(len(hidden))]
    features: list[Features] = [rows[: len(at)] for rows, at in zip(hidden, ends, strict=True)]
    if not entropy:
        return features
    spread = policy.rollout_confidences(problem, k=1)
    return [
        np.column_stack([rows, mean_entropies(each[:, 1])[at]])
        for rows, at, each in zip(features, ends, spread, strict=True)
    ]


def state_features(policy: PolicyAccess, states: Sequence[State], hidden: Features, entropy: bool) -> Features:
    """The features of each state, `hidden` (n_states, d) first: (n_states, d), or d + 1 with `entropy`."""
    if not entropy:
        return hidden
    means = [mean_entropies(each[:, 1])[-1] for each in policy.confidences(states, k=1)]
    return np.column_stack([hidden, means])


def mean_entropies(entropies: Features) -> Values:
    """Running means of entropies (n,): the policy's mean uncertainty so far, the next token included."""
    found: Values = entropies.cumsum(dtype=np.float64) / np.arange(1, len(entropies) + 1)
    return found


def _layers(policy: PolicyAccess, problem: Problem) -> list[int]:
    """Layers to try, without the embeddings: all of a shallow policy, else some at even distances and the last."""
    low, high = 1, 2  # there is a layer `low`
    while _exists(policy, problem, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _exists(policy, problem, middle) else (low, middle)
    return [int(layer) for layer in np.unique(np.rint(np.linspace(1, low, min(low, _MOST_LAYERS))))]


def _exists(policy: PolicyAccess, problem: Problem, layer: int) -> bool:
    try:
        policy.rollout_hidden_states(problem, layer)
    except SvebError:
        return False
    return True


def _that_fit(layers: Sequence[int], policy: PolicyAccess, problem: Problem | None) -> list[Sequence[int]]:
    """The layers in parts whose moments fit into memory: a problem's layers are read together, which costs less."""
    width = policy.rollout_hidden_states(problem, layers[0])[0].shape[1] if problem is not None else 1
    most = max(1, _MEMORY // (8 * FOLDS * width**2))
    return [layers[start : start + most] for start in range(0, len(layers), most)]


def _moments(
    policy: PolicyAccess, train: Sequence[Problem], layers: Sequence[int], entropy: bool
) -> dict[int, dict[int, Matrix]]:
    """For each layer the moments of each fold's rows: all that ridge needs, whatever the number of rows."""
    found: dict[int, dict[int, Matrix]] = {layer: {} for layer in layers}
    for number, problem in enumerate(train):
        for layer, folds in found.items():
            features = rollout_features(policy, problem, layer, entropy)
            for rows, return_ in zip(features, problem.group.returns, strict=True):
                more = moments(rows, np.full(len(rows), return_))
                folds[number % FOLDS] = folds.get(number % FOLDS, 0.0) + more
    return found


def _rows(
    policy: PolicyAccess, train: Sequence[Problem], layer: int, entropy: bool
) -> dict[int, tuple[Features, Values]]:
    """Each fold's rows with their returns."""
    features: dict[int, list[Features]] = {}
    returns: dict[int, list[Values]] = {}
    for number, problem in enumerate(train):
        found = rollout_features(policy, problem, layer, entropy)
        for rows, return_ in zip(found, problem.group.returns, strict=True):
            features.setdefault(number % FOLDS, []).append(rows)
            returns.setdefault(number % FOLDS, []).append(np.full(len(rows), return_))
    return {fold: (np.concatenate(features[fold]), np.concatenate(returns[fold])) for fold in features}
