"""What an estimator does to its inputs and to the file system, observed inside its process."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.text import shortened
from sveb.contract.problem import Group, Problem, State
from sveb.harness.policy_client import Problems
from sveb.harness.wire import Channel

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {
    "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.truncate": 1,
    "os.chmod": 1, "os.chown": 1, "os.utime": 1, "sqlite3.connect": 1,
}  # fmt: skip
_LONGEST = 60


class Writes:
    """Paths outside the scratch folder that Python code wrote, created, moved or deleted, each once.

    Files that a compiled library opens by itself are not observed.
    """

    def __init__(self, scratch: Path) -> None:
        self.found: list[str] = []
        self._allowed = {os.path.realpath(each) for each in (Path.cwd(), tempfile.gettempdir(), scratch, "/dev")}
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            touched = arguments[:1] if (arguments[2] or 0) & _WRITING else ()
        else:
            touched = arguments[: _CHANGING.get(event, 0)]
        for each in touched:
            if isinstance(each, str | bytes | os.PathLike):
                path = os.path.realpath(os.fsdecode(each))
                inside = any(path == folder or path.startswith(folder + os.sep) for folder in self._allowed)
                if not inside and path not in self.found:
                    self.found.append(path)


class WatchedProblems(Problems):
    """Problems that are compared with copies of what was handed out."""

    def __init__(self, channel: Channel, split: str, count: int) -> None:
        super().__init__(channel, split, count)
        self._handed: list[tuple[str, str, object, str, Any]] = []

    def changes(self) -> list[str]:
        """What was changed, in words."""
        found = []
        for what, about, owner, name, was in self._handed:
            now = _copy(getattr(owner, name))
            if now != was:
                where, before, after = _first_difference(was, now)
                was_then, is_now = (shortened(repr(value), _LONGEST) for value in (before, after))
                found.append(f"{what}{where} of {about} was {was_then} and is {is_now}")
        return found

    def _fetch(self, index: int) -> Problem:
        problem = super()._fetch(index)
        about = _about(problem)
        for name in ("question", "prompt_token_ids"):
            self._keep(name, about, problem, name)
        fetch = problem._fetch_group

        def group() -> Group:
            found = fetch()
            for name in ("returns", "texts", "token_ids", "step_ends"):
                self._keep(f"group.{name}", about, found, name)
            return found

        problem._fetch_group = group
        return problem

    def next_sets(self, problems: Mapping[int, Problem]) -> dict[int, Problem]:
        found = super().next_sets(problems)
        for problem in found.values():
            self._keep("states", _about(problem), problem, "states")
        return found

    def _keep(self, what: str, about: str, owner: object, name: str) -> None:
        self._handed.append((what, about, owner, name, _copy(getattr(owner, name))))


def _about(problem: Problem) -> str:
    return f"the problem {problem.question[:_LONGEST]!r}"


def _copy(value: Any) -> Any:
    """A copy of `value` in plain Python objects, which can be compared and shown."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_copy(each) for each in value]
    if isinstance(value, State):
        return {name: _copy(each) for name, each in vars(value).items()}
    return value


def _first_difference(was: Any, now: Any) -> tuple[str, Any, Any]:
    """Where two copies first differ ("[3]['text']"), and the values there."""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        keys: list[Any] = list(range(len(was)))
    elif isinstance(was, dict) and isinstance(now, dict):
        keys = list(was)
    else:
        return "", was, now
    key = next(key for key in keys if was[key] != now[key])
    where, before, after = _first_difference(was[key], now[key])
    return f"[{key!r}]{where}", before, after
