"""Scikit-learn's conventions: `__init__` only stores, `fit` sets names that end in `_`, clone and repr work."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from sveb.contract.estimator import Estimator
from sveb.harness.load_estimator import FunctionEstimator

LENT = {"_policy", "_rng", "_workplace"}


class _Anything:
    """An argument that `__init__` can store and do nothing else with."""

    def __repr__(self) -> str:
        return "any object"


def constructor_faults(estimator: Estimator) -> list[str]:
    """What `__init__` does besides storing its arguments; empty for a bare function."""
    if isinstance(estimator, FunctionEstimator):
        return []
    stored = estimator.get_params()
    faults = [
        f"__init__ sets self.{name}, which is not one of its arguments: set it in fit or predict, as {_fitted(name)}"
        for name in sorted(set(vars(estimator)) - set(stored) - LENT)
    ]
    for name in stored:
        given = _Anything()
        try:
            kept = type(estimator)(**stored | {name: given}).get_params()[name]
        except Exception as error:
            faults.append(f"__init__ does more with {name} than store it ({error}): do that in fit or predict")
            continue
        if kept is not given:
            faults.append(f"__init__ stores {reprlib.repr(kept)} where {name} was {given!r}: store it unchanged")
    try:
        repr(estimator.clone())
    except Exception as error:
        faults.append(f"clone and repr must work, found {type(error).__name__}: {error}")
    return faults


def fit_faults(estimator: Estimator, before: set[str], params: Mapping[str, Any]) -> list[str]:
    """Arguments that `fit` changed, and wrong names of what it set. `before` and `params` are from before `fit`."""
    if isinstance(estimator, FunctionEstimator):
        return []
    named = [
        f"fit sets self.{name}: call what is fitted self.{_fitted(name)}"
        for name in sorted(set(vars(estimator)) - before - LENT)
        if not name.endswith("_") and not name.startswith("_")
    ]
    after = estimator.get_params()
    changed = [
        f"fit changes the argument {name} from {reprlib.repr(value)} to {reprlib.repr(after[name])}: keep it, and set "
        f"self.{_fitted(name)}"
        for name, value in params.items()
        if after[name] is not value
    ]
    return named + changed


def _fitted(name: str) -> str:
    return f"{name.strip('_')}_"
