"""Several processes, each with an engine of one thread, behind one policy: how a small model uses all cores of a CPU.

A request goes to the process with the fewest open requests. Its tokens depend on its prefix and its seed, so any
process may sample it. If a process dies, another one samples its open requests again. If this process dies, the others
end.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from sveb.common.child_process import Child, how_it_ended
from sveb.common.errors import SvebError
from sveb.common.prefix_cover import families
from sveb.common.processor import cores
from sveb.policies.batches import family_batches
from sveb.policies.codec import TextCodec
from sveb.policies.engine_orders import Abandon, Draw, Load, Read
from sveb.policies.policy import Arrays, Completion, SampleRequest, Sampling

_BLOCK = 32  # requests sent together: most have the same prefix, which is then in one engine's cache
_OPEN = 384  # requests of one process: its engine samples 256 at a time, the others wait
_BATCHES, _READS_OPEN = 16, 2  # batches of one reading order, and orders of one process
_GRACE_S = 5.0  # for a process that has closed its socket to end
_ADVICE = "if the machine ran out of memory, use a smaller --workers"
_RESTARTS = 10  # of all processes together: more would not help

Item = tuple[int, Any]


class WorkerPolicy:
    """`workers` processes with the policy of `load`. They start together; the constructor waits for the first one."""

    def __init__(self, load: Load, workers: int) -> None:
        self.codec = TextCodec(load.weights.folder, load.chat)
        self._load, self._threads = load, max(1, cores() // workers)
        self._calls = itertools.count()
        self._restarts = 0
        self._lost: list[Item] = []
        self._workers: list[_Worker] = []
        try:
            self._workers += [_Worker(load, self._threads) for _ in range(workers)]
            while not any(worker.fingerprint for worker in self._workers):
                list(self._answers(-1))
        except BaseException:
            self.close()
            raise
        self.fingerprint: dict[str, Any] = next(w.fingerprint for w in self._workers if w.fingerprint)

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling) -> Iterator[Completion]:
        """See `Policy.sample`. At most `_OPEN` requests a process are held, so memory stays flat."""
        numbered = enumerate(requests)
        blocks = iter(lambda: list(itertools.islice(numbered, _BLOCK)), [])
        for request, (tokens, reason) in self._spread(blocks, lambda call, work: Draw(call, work, sampling), _OPEN):
            yield Completion(request.key, tokens, reason)

    def hidden_states(self, sequences: Sequence[Sequence[int]], layer: int = -1) -> Arrays:
        """See `Policy.hidden_states`."""
        return self._read("hidden_states", sequences, layer)

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """See `Policy.logprobs`."""
        return self._read("logprobs", sequences)

    def token_weights(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """See `Policy.token_weights`."""
        return self._read("token_weights", sequences)

    def confidences(self, sequences: Sequence[Sequence[int]], k: int) -> Arrays:
        """See `TransformersPolicy.confidences`."""
        return self._read("confidences", sequences, k)

    def _read(self, method: str, sequences: Sequence[Sequence[int]], *arguments: Any) -> Arrays:
        # The batches that a single process would form: results do not depend on the number of processes.
        numbered = ([item] for item in enumerate(_shares(sequences)))

        def order(call: int, work: list[Item]) -> Read:
            return Read(call, [(number, [sequences[i] for i in share]) for number, share in work], method, arguments)

        found: Arrays = [np.empty(0, np.float32)] * len(sequences)
        for share, arrays in self._spread(numbered, order, _READS_OPEN):
            for place, array in zip(share, arrays, strict=True):
                found[place] = array
        return found

    def _spread(
        self, blocks: Iterator[list[Item]], order: Callable[[int, list[Item]], Draw | Read], most: int
    ) -> Iterator[tuple[Any, Any]]:
        """Every item with its answer, in the order of the answers. At most `most` items of a process are open."""
        call = next(self._calls)
        try:
            exhausted = False
            while True:
                while ready := [w for w in self._workers if w.fingerprint and len(w.open) < most]:
                    block = self._lost or next(blocks, [])
                    self._lost = []
                    exhausted = not block
                    if exhausted:
                        break
                    min(ready, key=lambda worker: len(worker.open)).give(order(call, block), block)
                if exhausted and not self._lost and not any(worker.open for worker in self._workers):
                    return
                yield from self._answers(call)
        finally:
            self._lost = []
            for worker in self._workers:
                if worker.open:
                    worker.open.clear()
                    worker.send(Abandon(call))

    def _answers(self, call: int) -> Iterator[tuple[Any, Any]]:
        """Waits for messages, and yields the items that they answer, with the answers."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                kind, *said = worker.connection.recv()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            if kind == "ready":
                worker.fingerprint = said[0]
            elif kind == "failed":
                raise SvebError(said[0])
            elif kind == "crashed":
                raise RuntimeError(f"in an engine process:\n{said[0]}")
            elif said[0] == call:
                for number, answer in said[1]:
                    yield worker.open.pop(number), answer

    def _replace(self, dead: _Worker) -> None:
        """Starts another process for one that has died. What the dead one had not answered is lost, and sent again."""
        self._workers.remove(dead)
        how = dead.end(_GRACE_S)
        self._lost += dead.open.items()
        # A process that died while it loaded would die again.
        if again := dead.fingerprint is not None and self._restarts < _RESTARTS:
            self._restarts += 1
            self._workers.append(_Worker(self._load, self._threads))
        if not self._workers:
            raise SvebError(f"the engine process {how}: {_ADVICE}")
        what = "another is started" if again else f"{len(self._workers)} continue"
        print(f"an engine process {how}; {what} ({_ADVICE})", file=sys.stderr)

    def close(self) -> None:
        """See `Policy.close`."""
        for worker in self._workers:
            worker.end()
        self._workers = []


def _shares(sequences: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Places of sequences that one process reads: a whole family, so that it reads their beginning once, or batches."""
    for family in families(sequences):
        if family.shared:
            yield family.places
        else:
            batches = family_batches(sequences, family, "cpu")
            while batch := list(itertools.chain.from_iterable(itertools.islice(batches, _BATCHES))):
                yield batch


class _Worker:
    """One process. `fingerprint` is that of its policy, None until it is loaded; `open` are its unanswered items."""

    def __init__(self, load: Load, threads: int) -> None:
        self.fingerprint: dict[str, Any] | None = None
        self.open: dict[int, Any] = {}
        # OpenMP reads the variable once, when torch is imported.
        environment = {"OMP_NUM_THREADS": str(threads)} | os.environ
        self._child = Child("sveb.policies.engine_process", environment=environment)
        self.connection = Connection(self._child.socket.detach())
        self.send(load)

    def give(self, order: Draw | Read, items: list[Item]) -> None:
        """Sends an order; its items are open until they are answered."""
        self.open.update(items)
        self.send(order)

    def send(self, order: Any) -> None:
        """Sends an order. If the process has died, the next read notices it."""
        with suppress(OSError):
            self.connection.send(order)

    def end(self, grace_s: float = 0) -> str:
        """Ends the process after at most `grace_s` seconds, and says how it ended."""
        self.connection.close()
        try:
            return how_it_ended(self._child.wait(grace_s))
        except subprocess.TimeoutExpired:
            return "closed its socket"
        finally:
            self._child.end()
