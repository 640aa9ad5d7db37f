r"""Mathematical answers: compared in processes that can be killed.

What a response boxes may take for ever to evaluate, in code that no signal handler interrupts and beyond any memory.
What an answer says is read by math_reading.py and compared by math_compare.py; the expressions that its grammar does
not know are parsed by math-verify's parser.

    parent: [reference, found]   process: {"grade": number or null, "reason": text}     messages of sandbox/inside.py
"""

from __future__ import annotations

import ctypes
import os
import queue
import re
import resource
import signal
import socket
import subprocess
import sys
import threading

from sveb.common.child_process import Child, how_it_ended
from sveb.common.processor import cores
from sveb.sandbox.inside import receive, send
from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.grade import SAME, Verdict
from sveb.tasks.graders.grader import UngradedError

CPU_S = 3  # of one comparison: its 99th percentile is below .1 s
_WALL_S = 120.0  # for a process that waits instead of working; the machine may be busy
_MOST_PROCESSES = 8  # 1500 new expressions a second and 100 MB each: no engine asks for more
_MEMORY_BYTES = 4 * 2**30
_MESSAGE_BYTES = 2**24
_INTEGER = re.compile(r"[-+]?\d{1,15}")
_PR_SET_PDEATHSIG = 1


def reference_fault(answer: str) -> str | None:
    """Why this reference cannot be used: it must be readable in one way only, and say the same as itself."""
    if _INTEGER.fullmatch(answer):
        return None
    from sveb.tasks.graders.math_compare import verdict

    try:
        found = verdict(answer, answer)
    except Exception as error:  # sympy raises anything
        found = Verdict(None, f"{type(error).__name__}")
    return None if found.grade == 1.0 else f"the reference {answer!r} is not certain: {found.reason}"


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

    def at_once(self, problem: ProblemRecord, found: str) -> Verdict | None:
        """Two integers, or the reference word for word."""
        if _INTEGER.fullmatch(problem.answer) and _INTEGER.fullmatch(found):
            return (
                Verdict(1.0, SAME) if int(problem.answer) == int(found) else Verdict(0.0, f"the answer is {int(found)}")
            )
        return Verdict(1.0, SAME) if problem.answer == found else None

    def grade(self, problem: ProblemRecord, found: str) -> Verdict:
        """See `Grader`."""
        process = self._take()
        try:
            verdict = process.ask(problem.answer, found)
        except UngradedError:
            with self._lock:
                self._all.discard(process)
            process.kill()
            raise
        self._idle.put(process)
        if verdict.grade is None:
            raise UngradedError(verdict.reason, hopeless=True)
        return verdict

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

    def ask(self, gold: str, found: str) -> Verdict:
        """The verdict. Raises UngradedError; the process is of no use then."""
        try:
            send(self._child.socket, [gold, found])
            answer = receive(self._child.socket)
        except TimeoutError:
            raise UngradedError(f"the comparison did not answer within {_WALL_S:g} s") from None
        except OSError:
            raise self._death() from None
        return Verdict(answer["grade"], str(answer["reason"]))

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self._child.end()

    def _death(self) -> UngradedError:
        try:
            code = self._child.wait(5)
        except subprocess.TimeoutExpired:
            return UngradedError("the comparison's process closed its socket")
        if code == -signal.SIGPROF:
            return UngradedError(f"the comparison took more than {CPU_S} s of CPU time", hopeless=True)
        return UngradedError(f"the comparison's process {how_it_ended(code)}")


def _compare(gold: str, found: str) -> Verdict:
    from sveb.tasks.graders.math_compare import verdict

    try:
        return verdict(gold, found)
    except Exception as error:  # sympy raises anything; that is a fault of the grader, not of the answer
        return Verdict(None, f"the comparison failed: {type(error).__name__}")


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
    _compare("x", r"\sum_{k=1}^2 k")  # what is loaded at first use is not part of anybody's limit
    with socket.socket(fileno=descriptor) as sock:
        while True:
            try:
                gold, found = receive(sock, _MESSAGE_BYTES)
            except OSError:
                return
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            verdict = _compare(gold, found)
            signal.setitimer(signal.ITIMER_PROF, 0)
            send(sock, {"grade": verdict.grade, "reason": verdict.reason})


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
