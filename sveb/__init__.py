"""SVEB, the State Value Estimation Benchmark: how well does a method know V(s)?

`Estimator` and `Problem` are all that a submission needs; they load lazily so that
`sveb --help` imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Estimator", "Problem", "Suite", "__version__"]

if TYPE_CHECKING:
    from sveb.contract.estimator import Estimator, Problem
    from sveb.suite.suite import Suite

_HOMES = {"Estimator": "sveb.contract.estimator", "Problem": "sveb.contract.estimator", "Suite": "sveb.suite.suite"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sveb' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
