"""One engine in a process of its own: `python -m sveb.policies.engine_process FD`, started by `WorkerPolicy`.

It reads orders and writes answers over the inherited socket FD, as pickles: both ends are ours. Another `Draw` of the
same call may come at any time while the call's requests are sampled.

    Load      ("ready", fingerprint)
    Draw      ("done", call, [(request number, (tokens, finish reason)), ...]) as they finish
    Read      ("done", call, [(batch number, arrays), ...])
    Abandon   no answer: the rest of the call is not needed

The answer to a `SvebError` is ("failed", message), to any other error ("crashed", traceback).
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from sveb.common.errors import SvebError
from sveb.policies.engine_orders import Abandon, Draw, Load, Read
from sveb.policies.policy import SampleRequest

if TYPE_CHECKING:
    from sveb.policies.transformers_engine import TransformersPolicy
    from sveb.policies.vllm_engine import VllmPolicy

_ANSWERS = 64  # completions in one message at most


class _AbandonedError(Exception):
    """The current call is no longer needed."""


class _Server:
    """Obeys one parent. When the parent closes the socket, the process ends at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._orders: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._next: Any = None  # an order that belongs to the next call
        # A thread, so that the parent need not wait for the end of an engine's step when it sends.
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self._orders.put(self._connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    def serve(self) -> None:
        """Loads, then answers until the process ends."""
        try:
            policy = _load(self._orders.get())
            self._connection.send(("ready", policy.fingerprint))
            while True:
                order, self._next = self._next or self._orders.get(), None
                try:
                    if isinstance(order, Draw):
                        self._draw(policy, order)
                    elif isinstance(order, Read):
                        self._read(policy, order)
                    elif not isinstance(order, Abandon):  # the call may have ended before its `Abandon` arrived
                        raise TypeError(f"unknown order {order!r}")
                except SvebError as error:
                    self._connection.send(("failed", str(error)))
                except _AbandonedError:
                    continue
        except SvebError as error:
            self._connection.send(("failed", str(error)))
        except Exception:
            self._connection.send(("crashed", traceback.format_exc()))

    def _read(self, policy: VllmPolicy | TransformersPolicy, order: Read) -> None:
        for number, sequences in order.work:
            arrays = getattr(policy, order.method)(sequences, *order.arguments)
            self._connection.send(("done", order.call, [(number, arrays)]))

    def _draw(self, policy: VllmPolicy | TransformersPolicy, first: Draw) -> None:
        waiting, under_way = deque(first.work), 0
        finished: list[tuple[int, Any]] = []

        def answer() -> None:
            if finished:
                self._connection.send(("done", first.call, finished))
                finished.clear()

        def requests() -> Iterator[SampleRequest | None]:
            """The requests that have come; None if there is none now and the engine has work. Ends with the call."""
            nonlocal under_way
            while True:
                answer()
                while self._next is None and not self._orders.empty():
                    order = self._orders.get()
                    if isinstance(order, Abandon):
                        raise _AbandonedError
                    if isinstance(order, Draw) and order.call == first.call:
                        waiting.extend(order.work)
                    else:  # the parent has all answers of this call and has begun the next one
                        self._next = order
                if waiting:
                    number, request = waiting.popleft()
                    under_way += 1
                    yield replace(request, key=number)
                elif under_way:
                    yield None
                else:
                    return

        for completion in policy.sample(requests(), first.sampling):
            under_way -= 1
            finished.append((completion.key, (completion.token_ids, completion.finish_reason)))
            if len(finished) >= _ANSWERS:
                answer()
        answer()


def _load(order: Load) -> VllmPolicy | TransformersPolicy:
    if order.engine == "vllm":
        from sveb.policies.vllm_engine import VllmPolicy

        return VllmPolicy(order.weights, order.chat, order.max_model_len)
    from sveb.policies.transformers_engine import TransformersPolicy

    policy = TransformersPolicy(order.weights, order.chat)
    policy.frozen = True
    return policy


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    os.set_inheritable(int(sys.argv[1]), False)
    _Server(Connection(int(sys.argv[1]))).serve()
