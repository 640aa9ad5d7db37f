"""What `sveb check` says of each built-in, found out once for all tests that ask."""

from functools import cache

import pytest

from sveb.estimators.registry import names
from sveb.harness.conformance.examination import CheckReport, check

# Cheap ones where training would be slow.
PARAMS: dict[str, dict[str, str]] = {"critic": {"epochs": "1"}}
# Their own tests bring what these need, and look at their budgets.
NEED_MORE = {
    "judge": "asks a language model behind an endpoint",
    "prm": "reads a process reward model",
    "lookahead": "starts an engine and samples nine times",
}

everywhere = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skip(reason=f"{name} {NEED_MORE[name]}") if name in NEED_MORE else ())
        for name in names()
    ],
)


@cache
def report_of(name: str) -> CheckReport:
    """The report on a built-in, with cheap parameters."""
    return check(name, PARAMS.get(name, {}))
