r"""Mathematical expressions: math-verify on the content of the last `\boxed{}`, in processes that can be killed.

The gold stands between dollar signs: bare, math-verify fails to read every fifth answer of MATH. What a response
boxes may take for ever to evaluate (`9^{9^{9^9}}`), in code that no signal handler interrupts and beyond any memory.

    parent: [gold, found]   process: {"grade": 0.0 or 1.0} or {"failed": reason}     messages of sandbox/inside.py
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from functools import lru_cache
from typing import Any

from sveb.common.child_process import Child, how_it_ended
from sveb.sandbox.inside import receive, send
from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.grader import UngradedError, cores

CPU_S = 3  # of one comparison: its 99th percentile is below .1 s
_WALL_S = 120.0  # for a process that waits instead of working; the machine may be busy
_MOST_PROCESSES = 8  # 1500 new expressions a second and 100 MB each: no engine asks for more
_MEMORY_BYTES = 4 * 2**30
_MESSAGE_BYTES = 2**24
_INTEGER = re.compile(r"[-+]?\d{1,15}")
_PR_SET_PDEATHSIG = 1


def readable(answer: str) -> bool:
    """Whether math-verify can read this reference."""
    # Its own limit is a signal, which only the main thread receives.
    limited = threading.current_thread() is threading.main_thread()
    return bool(_INTEGER.fullmatch(answer) or _parse(_gold(answer), CPU_S if limited else None))


class MathGrader:
    """`math`: a process a core, at most eight; one that hangs or dies is replaced."""

    def __init__(self) -> None:
        self.threads = min(cores(), _MOST_PROCESSES)
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False

    def check(self) -> None:
        """See `Grader`: it needs nothing of the machine."""

    def key(self, problem: ProblemRecord, found: str) -> tuple[str, ...]:
        """See `Grader`."""
        return problem.answer, found

    def at_once(self, problem: ProblemRecord, found: str) -> float | None:
        """Two integers, or the reference word for word."""
        if _INTEGER.fullmatch(problem.answer) and _INTEGER.fullmatch(found):
            return float(int(problem.answer) == int(found))
        return 1.0 if problem.answer == found else None

    def grade(self, problem: ProblemRecord, found: str) -> float:
        """See `Grader`."""
        process = self._take()
        try:
            grade = process.ask(problem.answer, found)
        except UngradedError:
            with self._lock:
                self._all.discard(process)
            process.kill()
            raise
        self._idle.put(process)
        return grade

    def close(self) -> None:
        """Kills the processes."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()

    def _take(self) -> _Process:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            with self._lock:
                if self._closed:
                    raise UngradedError("grading was stopped") from None
                process = _Process()
                self._all.add(process)
                return process


class _Process:
    """One process that compares expressions."""

    def __init__(self) -> None:
        self._child = Child(__name__, str(os.getpid()))
        self._child.socket.settimeout(_WALL_S)

    def ask(self, gold: str, found: str) -> float:
        """The grade. Raises UngradedError; the process is of no use then."""
        try:
            send(self._child.socket, [gold, found])
            answer = receive(self._child.socket)
        except TimeoutError:
            raise UngradedError(f"math-verify did not answer within {_WALL_S:g} s") from None
        except OSError:
            raise self._death() from None
        if "failed" in answer:
            raise UngradedError(f"math-verify failed: {answer['failed']}")
        return float(answer["grade"])

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self._child.end()

    def _death(self) -> UngradedError:
        try:
            code = self._child.wait(5)
        except subprocess.TimeoutExpired:
            return UngradedError("math-verify's process closed its socket")
        if code == -signal.SIGPROF:
            return UngradedError(f"math-verify took more than {CPU_S} s of CPU time", hopeless=True)
        return UngradedError(f"math-verify's process {how_it_ended(code)}")


def _gold(answer: str) -> str:
    return answer if "$" in answer.replace(r"\$", "") else f"${answer}$"


def _parse(text: str, limit_s: int | None = None) -> list[Any]:
    from math_verify import parse  # type: ignore[import-untyped]

    # It warns of every expression that it cannot read, and of having no limit.
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    return list(parse(text, parsing_timeout=limit_s))


_parse_gold = lru_cache(maxsize=1024)(_parse)


def _same(gold: str, found: str) -> dict[str, Any]:
    from math_verify import verify

    golds = _parse_gold(_gold(gold))
    if not golds:
        return {"failed": "the reference cannot be read"}
    for one in golds:
        for other in _parse(rf"\boxed{{{found}}}"):
            try:
                if verify(one, other, timeout_seconds=None, raise_on_error=True):
                    return {"grade": 1.0}
            except (MemoryError, RecursionError) as error:
                return {"failed": type(error).__name__}
            except Exception:  # sympy has no way to compare these two kinds: they differ
                continue
    return {"grade": 0.0}


def _serve(descriptor: int, parent: int) -> None:
    """Answers until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The kernel's own way to end a process: it needs no interpreter that still listens.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _same("x", "y")  # what is loaded at first use is no part of anybody's limit
    with socket.socket(fileno=descriptor) as sock:
        while True:
            try:
                gold, found = receive(sock, _MESSAGE_BYTES)
            except OSError:
                return
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            answer = _same(gold, found)
            signal.setitimer(signal.ITIMER_PROF, 0)
            send(sock, answer)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
