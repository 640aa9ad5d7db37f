"""Which tests the workers of pytest-xdist run together, and in which order."""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

# What takes as long to start as many tests is started once for these files: the session's vLLM engine and its server,
# and a process that has imported all of `sveb`.
_TOGETHER = {
    "vLLM": (
        "tests/e2e/test_examples.py", "tests/estimators/test_judge_estimator.py", "tests/harness/test_live.py",
        "tests/policies/test_engines.py", "tests/policies/test_ray.py", "tests/policies/test_server.py",
        "tests/tasks/test_judge.py",
    ),
    "warm": (
        "tests/e2e/test_cli.py", "tests/e2e/test_critic_export.py", "tests/e2e/test_gsm8k.py", "tests/e2e/test_kill.py",
        "tests/e2e/test_task_commands.py",
    ),
}  # fmt: skip
_GROUPS = {file: group for group, files in _TOGETHER.items() for file in files}
_LONG = ("slow", "engine", "browser")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class ByFile(LoadFileScheduling):
    """A file stays with one worker, so that its fixtures are made once; files that share a start stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return _GROUPS.get(_file(nodeid), _file(nodeid))


def long_first(items: list[pytest.Item]) -> None:
    """Groups, then files by the number of their long tests: at the end no worker waits for the other."""
    long = Counter(_file(item.nodeid) for item in items if any(map(item.get_closest_marker, _LONG)))
    items.sort(key=lambda item: (_file(item.nodeid) not in _GROUPS, -long[_file(item.nodeid)]))
