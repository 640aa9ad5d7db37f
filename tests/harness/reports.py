"""What `sveb check` says of each built-in, found out once for all tests that ask."""

from functools import cache

import pytest

from sveb.estimators.registry import BUILTINS
from sveb.harness.conformance.examination import Report, check

# Cheap ones where training would be slow.
PARAMS: dict[str, dict[str, str]] = {"critic": {"epochs": "1"}}
# Their own tests bring what these need, and look at their budgets.
NEED_MORE = {"judge", "prm", "lookahead"}

everywhere = pytest.mark.parametrize("name", [name for name in BUILTINS if name not in NEED_MORE])


@cache
def report_of(name: str) -> Report:
    """The report on a built-in, with cheap parameters."""
    return check(name, PARAMS.get(name, {}))
