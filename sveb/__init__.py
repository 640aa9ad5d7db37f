"""SVEB, the State Value Estimation Benchmark: how well does a method know V(s)?

The names below load at first use, so that `sveb --help` imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sveb.common.processor import sleep_while_waiting

__all__ = [
    "Estimator",
    "Group",
    "Problem",
    "State",
    "Suite",
    "SvebError",
    "__version__",
    "compare",
    "evaluate",
    "generate_suite",
    "load_suite",
    "score_predictions",
]

if TYPE_CHECKING:
    from sveb.api import compare, evaluate, generate_suite, load_suite, score_predictions
    from sveb.common.errors import SvebError
    from sveb.common.version import __version__
    from sveb.contract.estimator import Estimator
    from sveb.contract.problem import Group, Problem, State
    from sveb.suite.suite import Suite

_API = ("compare", "evaluate", "generate_suite", "load_suite", "score_predictions")
_HOMES = {
    "Estimator": "sveb.contract.estimator",
    "Group": "sveb.contract.problem",
    "Problem": "sveb.contract.problem",
    "State": "sveb.contract.problem",
    "Suite": "sveb.suite.suite",
    "SvebError": "sveb.common.errors",
    "__version__": "sveb.common.version",
} | dict.fromkeys(_API, "sveb.api")

sleep_while_waiting()  # here, because it must come before the first import of torch


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sveb' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
