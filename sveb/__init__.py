"""SVEB, the State Value Estimation Benchmark: how well does a method know V(s)?

The names below load at first use, so that `sveb --help` imports nothing heavy.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

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

# Threads of OpenMP sleep while they wait for each other. By default they spin, and keep the core from the thread that
# they wait for: on a busy machine two threads were many times slower than one. Set here, because OpenMP reads the
# variable when torch is imported. It is set without an import, because the runners of sandboxes see few files of SVEB.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sveb' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
