"""What `sveb check` says of each built-in, found out once for all tests that ask."""

from functools import cache

import pytest

from sveb.estimators.registry import find, names
from sveb.harness.conformance.examination import CheckReport, check

# Cheap ones where training is slow.
PARAMS: dict[str, dict[str, str]] = {"critic": {"epochs": "1"}}
# These need a server, a model or an engine: their own tests bring it, and check them with `keeps_the_contract`.
NEED_MORE = {"judge", "prm", "lookahead", "critic_checkpoint"}

READ_THE_POLICY = {"hidden_states", "logprobs"}

everywhere = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.engine if READ_THE_POLICY & set(find(name).budget) else ())
        for name in names()
        if name not in NEED_MORE
    ],
)


def keeps_the_contract(report: CheckReport) -> None:
    """Every check holds, and the budget is the one that the registry states."""
    assert {each.name: each.found for each in report.checks if each.outcome != "ok"} == {}
    assert report.budget == find(report.spec).budget


@cache
def report_of(name: str) -> CheckReport:
    """The report on a built-in, with cheap parameters."""
    return check(name, PARAMS.get(name, {}))
