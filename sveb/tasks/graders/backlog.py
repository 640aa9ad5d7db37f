"""Answers that wait for their grader, each distinct one graded once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.grade import Grade, Verdict
from sveb.tasks.graders.grader import Grader, UngradedError

STOPPED = Verdict(None, "grading was stopped")
_WAITING = 2**14  # distinct answers that wait at most: then `add` blocks, and memory stays bounded
_REMEMBERED = 2**17  # grades, at some 200 bytes each
_TRIES = 2

Settle = Callable[[list[Grade], Verdict], None]


class Backlog:
    """Hands answers to a grader's threads. `settle(futures, verdict)` is called with the result, in any thread.

    A grade is kept. A failure is not: if the answer is submitted again, it is graded again.
    """

    def __init__(self, grader: Grader, settle: Settle) -> None:
        self._grader, self._settle = grader, settle
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Verdict] = OrderedDict()
        self._waiting: dict[bytes, list[Grade]] = {}
        self._room = threading.Semaphore(_WAITING)
        self._threads = ThreadPoolExecutor(grader.threads, thread_name_prefix="grading")
        self._closed = False

    def add(self, problem: ProblemRecord, found: str, future: Grade) -> None:
        """Grades `found`, or waits for the same answer that is being graded, or knows it already."""
        key = "\x1f".join(self._grader.key(problem, found)).encode(errors="surrogatepass")
        digest = hashlib.blake2b(key, digest_size=16).digest()
        with self._lock:
            known = self._known.get(digest)
            over = known is not None or self._closed
            if known is not None:
                self._known.move_to_end(digest)
            elif not over:
                waiting = self._waiting.setdefault(digest, [])
                waiting.append(future)
                if len(waiting) > 1:
                    return
        if over:
            self._settle([future], known or STOPPED)
            return
        self._room.acquire()
        try:
            self._threads.submit(self._work, digest, problem, found)
        except RuntimeError:  # closed while it waited for room
            self._finish(digest, STOPPED)

    def close(self) -> None:
        """Ends the grader; whoever still waits gets None."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._grader.close()
        self._threads.shutdown(wait=True)
        for digest in list(self._waiting):
            self._finish(digest, STOPPED)

    def _work(self, digest: bytes, problem: ProblemRecord, found: str) -> None:
        verdict = STOPPED
        for _ in range(_TRIES):
            if self._closed:
                break
            try:
                verdict = self._grader.grade(problem, found)
                break
            except UngradedError as error:
                verdict = Verdict(None, str(error))
                if error.hopeless:
                    break
            except Exception as error:  # the run goes on; the reason is counted and shown
                verdict = Verdict(None, f"the grader raised {type(error).__name__}")
        # What ends while the grader is being closed may be the closing's doing.
        self._finish(digest, STOPPED if self._closed else verdict)

    def _finish(self, digest: bytes, verdict: Verdict) -> None:
        with self._lock:
            waiting = self._waiting.pop(digest, [])
            if verdict.grade is not None:
                self._known[digest] = verdict
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        self._room.release()
        self._settle(waiting, verdict)
