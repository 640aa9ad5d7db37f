r"""Programs: the response's code runs in the sandbox, against the problem's tests.

A program earns 1 if every test passes: it ends by itself with exit code 0 and prints what is expected, white space
aside; or, where the task says so, numbers that are near enough.
 What it prints is compared here: the expected output never enters the sandbox, so nothing in there can be
turned into a grade. One sandbox a program, one process a test; the standard library alone, no network, no files.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.processor import cores
from sveb.common.seeds import rng
from sveb.sandbox.bwrap import Bind, Confinement
from sveb.sandbox.confined_python import PACKAGE, Python, copy_code, open_up
from sveb.sandbox.inside import read, receive, send
from sveb.sandbox.limits import Limits
from sveb.sandbox.sandbox import Sandbox
from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.grade import Verdict
from sveb.tasks.graders.grader import UngradedError
from sveb.tasks.task import Task

_KIND = "stdin_stdout"
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_OUTPUT_BYTES = 2**24  # of one test
_START_S = 30.0
_BUSY = 3.0  # wall time that a test may take, as a multiple of its CPU time: the machine does other work too
_LIMITS = Limits(memory_bytes=2**30, processes=16, scratch_bytes=2**27)
_PROBE = ProblemRecord("probe", "", "", extras={"tests": [{"input": "2 3\n", "output": "5"}]})


class ProgramGrader:
    """`program`. [answer] may set `test_seconds` (CPU time of one test, default 5), `max_tests` and `tolerance`.

    Where a problem has more tests than `max_tests`, so many are chosen, by its id alone: the same ones for every
    response in every suite.
    """

    def __init__(self, task: Task) -> None:
        self.threads = cores()
        self._cpu_s = int(task.answer.get("test_seconds", 5))
        self._tolerance = float(task.answer.get("tolerance", 0))
        self._most = int(task.answer["max_tests"]) if "max_tests" in task.answer else None
        self._lock = threading.Lock()
        self._running: set[Sandbox] = set()
        self._closed = False
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def check(self) -> None:
        """Grades a program that adds; raises SvebError where no program can be run."""
        self._scratch = tempfile.TemporaryDirectory(prefix="sveb-", ignore_cleanup_errors=True)
        self._confinement = _confinement(Path(self._scratch.name))
        try:
            if self.grade(_PROBE, "print(sum(map(int, input().split())))").grade != 1.0:
                raise SvebError("the sandbox runs no program as it should: `sveb doctor` may tell more")
        except UngradedError as error:
            self.close()
            raise SvebError(str(error)) from None

    def key(self, problem: ProblemRecord, found: str) -> tuple[str, ...]:
        """See `Grader`."""
        return problem.problem_id, found

    def at_once(self, problem: ProblemRecord, found: str) -> Verdict | None:  # noqa: ARG002
        """See `Grader`: a program has to be run."""
        return None

    def grade(self, problem: ProblemRecord, found: str) -> Verdict:
        """See `Grader`. What the program does to its sandbox is a 0; a sandbox that did not start gives no grade."""
        tests = self._chosen(problem)
        limits = replace(_LIMITS, cpu_s=self._cpu_s * len(tests) + 5.0, wall_s=self._cpu_s * _BUSY * len(tests) + 30.0)
        with contextlib.ExitStack() as undo:
            try:
                sandbox = undo.enter_context(Sandbox(replace(self._confinement, limits=limits), io.StringIO()))
            except SvebError as error:
                raise UngradedError(str(error)) from None
            with self._lock:
                if self._closed:
                    raise UngradedError("grading was stopped")
                self._running.add(sandbox)
            try:
                fault = self._fault(sandbox, found, tests)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                fault = "it ended its runner"  # or speaks in its place
            finally:
                with self._lock:
                    self._running.discard(sandbox)
        return Verdict(0.0, fault) if fault else Verdict(1.0, f"passes {len(tests)} tests")

    def close(self) -> None:
        """Ends every program."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for sandbox in running:
            sandbox.end()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _chosen(self, problem: ProblemRecord) -> list[Mapping[str, str]]:
        tests: Sequence[Mapping[str, str]] = problem.extras["tests"]
        if self._most is None or len(tests) <= self._most:
            return list(tests)
        places = rng(0, "tests", problem.problem_id).choice(len(tests), self._most, replace=False)
        return [tests[place] for place in sorted(places)]

    def _fault(self, sandbox: Sandbox, code: str, tests: Sequence[Mapping[str, str]]) -> str:
        """What goes wrong in the first test that fails; "" where all pass."""
        channel, wall_s = sandbox.channel, self._cpu_s * _BUSY
        channel.settimeout(wall_s + _START_S)
        send(channel, {"code": code, "cpu_s": self._cpu_s, "wall_s": wall_s, "output_bytes": _OUTPUT_BYTES})
        for place, test in enumerate(tests):
            send(channel, {"input": test["input"]})
            answer = receive(channel)
            if answer["ended"] or not 0 <= answer["bytes"] <= _OUTPUT_BYTES:
                return f"test {place}: {str(answer['ended'])[:100] or 'it printed too much'}"
            printed = read(channel, answer["bytes"]).decode(errors="replace")
            if not _same_output(test["output"], printed, self._tolerance):
                return f"test {place}: it printed something else"
        return ""


def _same_output(expected: str, printed: str, tolerance: float) -> bool:
    """Whether the same words stand on the same lines; blank space at both ends does not count.

    With a tolerance, relative for numbers beyond 1 and absolute below, numbers with a point or an exponent may differ.
    """
    one, two = ([line.split() for line in text.strip().split("\n")] for text in (expected, printed))
    if one == two or not tolerance:
        return one == two
    return [len(line) for line in one] == [len(line) for line in two] and all(
        a == b or _near(a, b, tolerance) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
    )


def _near(expected: str, printed: str, tolerance: float) -> bool:
    if not (_DECIMAL.fullmatch(expected) and _DECIMAL.fullmatch(printed)):
        return False
    a, b = float(expected), float(printed)
    return abs(a - b) <= tolerance * max(1.0, abs(a)) and math.isfinite(a)


def _confinement(scratch: Path) -> Confinement:
    python = Python(packages=False)
    harness = scratch / "harness"
    harness.mkdir()
    shutil.copy2(Path(__file__).with_name("program_runner.py"), harness)
    open_up(harness)
    return Confinement(
        first=python.probes,
        command=python.command("/harness/program_runner.py"),
        binds=(*python.binds, copy_code((), scratch / "code"), Bind(harness, "/harness")),
        hidden=(PACKAGE,),
        # Sets of strings iterate in an order that depends on the hash seed: grades must not.
        environment=(*python.environment.items(), ("PYTHONHASHSEED", "0")),
    )


def tests_fault(tests: Any) -> str | None:
    """Why these are no tests, or None.

    Tests are a list of {"input": text, "output": text, "type": "stdin_stdout"}, as the `test_cases` of
    open-r1/verifiable-coding-problems-python; the type may be left out.
    """
    if not isinstance(tests, Sequence) or isinstance(tests, str) or not tests:
        return 'expected a list of tests, each with "input" and "output"'
    for place, test in enumerate(tests):
        if not isinstance(test, Mapping):
            return f'test {place} is not a table with "input" and "output"'
        if (kind := test.get("type") or _KIND) != _KIND:
            return f"test {place} is of the type {kind!r}; {_KIND} alone is known"
        if test.get("fn_name"):
            return f"test {place} calls the function {test['fn_name']!r}: a program reads its input and prints"
        for key in ("input", "output"):
            if not isinstance(test.get(key), str):
                return f'test {place}: "{key}" is not a text'
    return None
