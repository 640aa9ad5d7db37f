"""Between the engine and the disk: finished units are decoded, graded and stored in a thread of their own.

The engine's thread only hands units over, so that neither a slow grader nor a slow disk stops it. What waits for a
grade is bounded: beyond `_MOST_WAITING` continuations a unit is stored ungraded, with its tokens, and graded when the
stage's sampling is over (`regrade`).
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from sveb.generate.store import FLUSH_SECONDS, Store
from sveb.generate.units import FinishedUnit, Unit
from sveb.policies.base import Completion
from sveb.policies.text import TextCodec
from sveb.tasks.grading import Grading

_MOST_WAITING = 16_384  # continuations; with their texts some 100 MB at 1000 tokens each


@dataclass(eq=False)
class _Held:
    """A finished unit on its way to the disk. `returns` are complete once `open` is 0."""

    unit: Unit
    completions: list[Completion]
    open: int = 0
    returns: list[float | None] = field(default_factory=list)


class Desk:
    """Takes the finished units of one stage. `close` it at the end, whatever happens.

    Without `grading` the returns stay missing. With `keep_tokens=False` only ungraded continuations keep their tokens.
    """

    def __init__(self, stage: str, store: Store, codec: TextCodec, grading: Grading | None, keep_tokens: bool) -> None:
        self._stage, self._store, self._codec, self._grading = stage, store, codec, grading
        self._keep_tokens = keep_tokens
        self._mail: SimpleQueue[tuple[str, _Held | None]] = SimpleQueue()
        self._changed = threading.Condition()
        self._waiting = 0
        self._fault: BaseException | None = None
        self._closing = False
        self._ungraded: set[_Held] = set()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def take(self, unit: Unit, completions: list[Completion]) -> None:
        """Takes over a finished unit. Never waits for a grader; raises what went wrong in storing earlier ones."""
        self._raise_fault()
        with self._changed:
            spill = self._waiting + len(completions) > _MOST_WAITING
            # Only a disk that has stopped lets this many pile up: then there is nothing to do but wait for it.
            self._changed.wait_for(lambda: self._waiting < 4 * _MOST_WAITING or self._fault is not None)
            self._waiting += len(completions)
        self._mail.put(("spill" if spill else "grade", _Held(unit, completions)))

    def drain(self) -> None:
        """Waits until all that was taken is graded and stored."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0 or self._fault is not None)
        self._raise_fault()

    def close(self) -> None:
        """Stores what is finished, graded or not, and ends the thread."""
        self._closing = True
        self._mail.put(("stop", None))
        self._thread.join()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _work(self) -> None:
        try:
            self._handle_mail()
        except BaseException as error:  # shown by the engine's thread
            with self._changed:
                self._fault = error
                self._changed.notify_all()

    def _handle_mail(self) -> None:
        while True:
            try:
                message, held = self._mail.get(timeout=FLUSH_SECONDS)
            except Empty:
                self._store.flush(self._stage)
                continue
            if held is None:
                break
            if message == "grade" and self._grading is not None and not self._closing:
                self._submit(held, self._grading)
            else:
                self._keep(held)
        # Only what a stopped run leaves behind: it is graded on the next start.
        for held in list(self._ungraded):
            self._keep(held)
        self._store.flush(self._stage)

    def _submit(self, held: _Held, grading: Grading) -> None:
        unit, completions = held.unit, held.completions
        texts = self._codec.decode_many([[*unit.response, *c.token_ids.tolist()] for c in completions])
        held.returns, held.open = [None] * len(completions), len(completions)
        self._ungraded.add(held)
        for place, (text, completion) in enumerate(zip(texts, completions, strict=True)):
            future = grading.submit(unit.problem, text, completion.finish_reason)
            future.add_done_callback(partial(self._graded, held, place))

    def _graded(self, held: _Held, place: int, future: Future[float | None]) -> None:
        """Called in whichever thread the grade arrives."""
        with self._changed:
            held.returns[place] = future.result()
            held.open -= 1
            complete = held.open == 0
        if complete:
            self._mail.put(("keep", held))

    def _keep(self, held: _Held) -> None:
        unit, completions = held.unit, held.completions
        with self._changed:
            returns = list(held.returns) or [None] * len(completions)
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
        self._ungraded.discard(held)
        with self._changed:
            self._waiting -= len(completions)
            self._changed.notify_all()
