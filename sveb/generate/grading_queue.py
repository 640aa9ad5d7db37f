"""Between the engine and the disk: one thread decodes and grades finished units, another stores them.

The engine's thread only hands units over, so neither a slow grader nor a slow disk stops it. The queue for the graders
is bounded: if more than `_MOST_WAITING` continuations wait, a unit is stored ungraded, with its tokens, and graded when
the sampling of the stage is over (`StageRunner.grade_missing`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from sveb.generate.unit_store import FLUSH_SECONDS, Store
from sveb.generate.units import FinishedUnit, Unit
from sveb.policies.codec import TextCodec
from sveb.policies.policy import Completion
from sveb.tasks.grading import Grading

_MOST_WAITING = 16_384  # continuations; with their texts some 100 MB at 1000 tokens each


@dataclass(eq=False)
class _Held:
    """A finished unit that is not stored yet. `open` of its `returns` are not graded yet."""

    unit: Unit
    completions: list[Completion]
    open: int = field(init=False)
    returns: list[float | None] = field(init=False)

    def __post_init__(self) -> None:
        self.open = len(self.completions)
        self.returns = [None] * self.open


class GradingQueue:
    """Grades and stores the finished units of one stage. Call `close` at the end, also after an error.

    Without `grading` the returns stay missing. With `keep_tokens=False` only ungraded continuations keep their tokens.
    """

    def __init__(self, stage: str, store: Store, codec: TextCodec, grading: Grading | None, keep_tokens: bool) -> None:
        self._stage, self._store, self._codec, self._grading = stage, store, codec, grading
        self._keep_tokens = keep_tokens
        self._to_grade: SimpleQueue[_Held | None] = SimpleQueue()
        self._to_keep: SimpleQueue[_Held | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._held: dict[_Held, None] = {}
        self._waiting = 0
        self._fault: BaseException | None = None
        self._keeper = threading.Thread(target=self._guard, args=(self._keep_all,), name="keeper", daemon=True)
        self._grader = threading.Thread(target=self._guard, args=(self._grade_all,), name="grader", daemon=True)
        self._keeper.start()
        self._grader.start()

    def put(self, unit: Unit, completions: list[Completion]) -> None:
        """Hands over a finished unit. Never waits for a grader. Raises the error of a thread that has failed."""
        held = _Held(unit, completions)
        with self._changed:
            # So many wait only if the disk does not accept data: then the engine has to wait too.
            self._changed.wait_for(lambda: self._waiting < 4 * _MOST_WAITING or self._fault is not None)
            self._raise_fault()
            spill = self._waiting + held.open > _MOST_WAITING
            self._waiting += held.open
            self._held[held] = None
        (self._to_keep if spill or self._grading is None else self._to_grade).put(held)

    def wait(self, timeout_s: float) -> int:
        """Waits up to `timeout_s` until all is graded and stored; returns how many continuations are not."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0 or self._fault is not None, timeout_s)
            self._raise_fault()
            return self._waiting

    def close(self) -> None:
        """Stores all finished units, graded or not, and ends the threads. Raises the error of a failed thread."""
        self._to_keep.put(None)
        self._keeper.join()
        # Not joined: it may still wait for slow graders, and its results are no longer needed.
        self._to_grade.put(None)
        self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # raised again in the engine's thread
            with self._changed:
                self._fault = error
                self._changed.notify_all()

    def _grade_all(self) -> None:
        while (held := self._to_grade.get()) is not None and held in self._held:
            unit, completions = held.unit, held.completions
            texts = self._codec.decode_many([[*unit.response, *c.token_ids.tolist()] for c in completions])
            for place, (text, completion) in enumerate(zip(texts, completions, strict=True)):
                assert self._grading is not None
                future = self._grading.submit(unit.problem, text, completion.finish_reason)
                future.add_done_callback(partial(self._graded, held, place))

    def _graded(self, held: _Held, place: int, future: Future[float | None]) -> None:
        """Runs in the thread in which the grade arrives."""
        with self._changed:
            held.returns[place] = future.result()
            held.open -= 1
            complete = held.open == 0
        if complete:
            self._to_keep.put(held)

    def _keep_all(self) -> None:
        while True:
            try:
                held = self._to_keep.get(timeout=FLUSH_SECONDS)
            except Empty:
                self._store.flush(self._stage)
                continue
            if held is None:
                break
            self._keep(held)
        # Only a stopped run has such units. The next run grades them.
        for held in list(self._held):
            self._keep(held)
        self._store.flush(self._stage)

    def _keep(self, held: _Held) -> None:
        unit, completions = held.unit, held.completions
        with self._changed:
            del self._held[held]
            returns = list(held.returns)
        tokens = [completion.token_ids.tolist() for completion in completions]
        self._store.append(
            self._stage,
            FinishedUnit(
                unit_id=unit.unit_id,
                chunk=unit.chunk,
                problem_id=unit.problem.problem_id,
                response=list(unit.response) if self._grading and None in returns else None,
                seed=unit.seeds.tolist(),
                token_ids=[t if self._keep_tokens or r is None else None for t, r in zip(tokens, returns, strict=True)],
                n_tokens=[len(t) for t in tokens],
                finish_reason=[completion.finish_reason for completion in completions],
                return_=returns,
            ),
        )
        with self._changed:
            self._waiting -= len(completions)
            self._changed.notify_all()
