"""The Ray engine: Ray Data feeds actors that each hold a vLLM engine, on this machine or on a cluster.

    requests -> Feed (an actor next to us) -> source -> map_batches(ActorPoolStrategy) -> completions
                 keeps a block until it          one reading task,     N actors, each a
                 has been answered               which waits for       VllmPolicy
                                                 blocks

One Ray Data execution lives as long as the policy. An execution of its own for every call would load the models anew
each time, and needs its whole input at the start; here the source yields blocks as they are put into the feed, so
memory does not grow with the number of requests. Blocks are numbered: when an actor is lost, Ray starts another and
reads its blocks again by their numbers. A request carries its own seed, so a second attempt draws the same tokens.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import pickle
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import ray
import ray.data
import ray.data.exceptions
from ray.data.block import BlockMetadata

from sveb.common.errors import SvebError
from sveb.policies.codec import TextCodec
from sveb.policies.forward_by_transformers import ForwardByTransformers
from sveb.policies.models import Weights, fetch_weights
from sveb.policies.policy import Completion, SampleRequest, Sampling
from sveb.policies.quiet_stderr import quiet_stderr

_BLOCK = 1024  # requests an actor takes at a time: vLLM runs smaller batches below .9 of its best
_BLOCKS_AHEAD = 2  # an actor: one under way, one that waits
_OBJECT_STORE_BYTES = 256 * 2**20  # blocks are small
_RESTARTS = 20  # of one actor: a machine that loses it again and again is not going to hold it


class RayPolicy(ForwardByTransformers):
    """`actors` vLLM engines (None: one a GPU, or one). RAY_ADDRESS names a cluster; without it Ray starts here."""

    def __init__(self, weights: Weights, chat: bool | None, max_model_len: int | None, actors: int | None) -> None:
        super().__init__(weights, chat)
        self.codec = TextCodec(weights.folder, chat)
        self._started = not ray.is_initialized()
        with quiet_stderr():
            _connect(actors)
            try:
                self._actors, resources = _share(actors)
                self._feed = ray.remote(_Feed).options(num_cpus=0).remote()
                model = (weights.source, weights.revision, chat, max_model_len)
                self._answers = _execution(self._feed, model, self._actors, resources)
                self._blocks = 0
                # An empty block: comes back when the first engine is ready, and says what it is.
                self._put([], Sampling(1.0, 1.0, 1))
                found = self._next()[2]
            except BaseException:
                self.close()
                raise
        if found["sha256"] != weights.sha256:
            self.close()
            raise SvebError(
                f"an actor found other weights at {weights.source} (sha256 {found['sha256']}, here {weights.sha256}): "
                "put the same files on every machine of the cluster"
            )
        self.fingerprint = found | {"engine": "ray", "codec": self.codec.describe()}

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling) -> Iterator[Completion]:
        """See `Policy.sample`. At most `_BLOCKS_AHEAD` blocks an actor are held, so memory stays flat."""
        source = iter(requests)
        under_way: dict[int, Sequence[SampleRequest]] = {}
        exhausted = False
        try:
            while under_way or not exhausted:
                if not exhausted and len(under_way) <= self._actors * (_BLOCKS_AHEAD - 1):
                    taken = list(itertools.islice(source, self._actors * _BLOCK))
                    exhausted = len(taken) < self._actors * _BLOCK
                    # The last requests are shared out too.
                    size = max(1, math.ceil(len(taken) / self._actors))
                    for start in range(0, len(taken), size):
                        block = taken[start : start + size]
                        under_way[self._put(block, sampling)] = block
                    continue
                number, completions, found = self._next()
                asked = under_way.pop(number, ())
                if found != {key: self.fingerprint[key] for key in found} | {"engine": found["engine"]}:
                    raise SvebError(f"the actors differ: one has {found}, another {self.fingerprint}")
                for place, tokens, reason in completions if asked else []:
                    yield Completion(asked[place].key, tokens, reason)
        finally:
            for number in under_way:
                self._feed.drop.remote(number)

    def _put(self, block: Sequence[SampleRequest], sampling: Sampling) -> int:
        number, self._blocks = self._blocks, self._blocks + 1
        # Keys stay here; a prefix that several requests share is pickled once.
        work = pickle.dumps(([replace(request, key=place) for place, request in enumerate(block)], sampling))
        ray.get(self._feed.put.remote(number, work))
        return number

    def _next(self) -> tuple[int, list[tuple[int, Any, Any]], dict[str, Any]]:
        try:
            row = next(self._answers).to_pylist()[0]
        except (StopIteration, ray.exceptions.RayError, ray.data.exceptions.SystemException) as error:
            raise SvebError(
                f"Ray gave up ({_first_line(error)}); what was finished is kept: run the same command to continue"
            ) from error
        answer = pickle.loads(row["answer"])
        if isinstance(answer, str):
            raise SvebError(f"on a Ray actor: {answer}")
        self._feed.drop.remote(row["number"])
        return row["number"], *answer

    def close(self) -> None:
        """See `Policy.close`. Ends the actors, and Ray itself where it was started here."""
        if ray.is_initialized() and hasattr(self, "_feed"):
            self._answers = iter(())  # the execution ends with its last reference
            ray.kill(self._feed)
        if self._started:
            ray.shutdown()
        super().close()


class _Feed:
    """Blocks of work by number; a dropped one is empty, so that a second reading of it costs nothing."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytes] = {}
        self._put_so_far = 0
        self._changed = asyncio.Condition()

    async def put(self, number: int, work: bytes) -> None:
        async with self._changed:
            self._blocks[number] = work
            self._put_so_far = number + 1
            self._changed.notify_all()

    async def get(self, number: int) -> bytes:
        async with self._changed:
            await self._changed.wait_for(lambda: number < self._put_so_far)
            return self._blocks.get(number, b"")

    async def drop(self, number: int) -> None:
        self._blocks.pop(number, None)


class _Source(ray.data.Datasource):  # type: ignore[misc]
    """One task that reads block after block from the feed, for ever."""

    def __init__(self, feed: Any) -> None:
        super().__init__()
        self._feed = feed

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[ray.data.ReadTask]:
        feed = self._feed

        def read() -> Iterator[pa.Table]:
            for number in itertools.count():
                work = ray.get(feed.get.remote(number))
                yield pa.table({"number": [number], "work": pa.array([work], pa.binary())})

        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ray.data.ReadTask(read, unknown)]


class _Engine:
    """One actor's engine. A fault that the user can fix travels as an answer: Ray would retry it for ever."""

    def __init__(self, source: str, revision: str | None, chat: bool | None, max_model_len: int | None) -> None:
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        from sveb.policies.vllm_engine import VllmPolicy

        self._fault: str | None = None
        try:
            self._policy = VllmPolicy(fetch_weights(source, revision), chat, max_model_len)
        except SvebError as error:
            self._fault = str(error)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.table({"number": batch["number"], "answer": pa.array([self._answer(batch["work"][0].as_py())])})

    def _answer(self, work: bytes) -> bytes:
        if self._fault is not None:
            return pickle.dumps(self._fault)
        requests, sampling = pickle.loads(work) if work else ([], Sampling(1.0, 1.0, 1))
        drawn = [(c.key, c.token_ids, c.finish_reason) for c in self._policy.sample(requests, sampling)]
        return pickle.dumps((drawn, {k: v for k, v in self._policy.fingerprint.items() if k != "codec"}))


def _connect(actors: int | None) -> None:
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS")
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    try:
        if host and port.isdigit():
            # Ray itself would try for minutes.
            socket.create_connection((host, int(port)), timeout=10).close()
        if address:
            ray.init(**quiet)
        else:
            cores = max(os.cpu_count() or 1, actors or 1)
            ray.init(num_cpus=cores, include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"no Ray cluster answers at RAY_ADDRESS={address}" if address else "Ray does not start here"
        raise SvebError(f"{where} ({_first_line(error)}): docs/engines.md tells how to start one") from error


def _share(actors: int | None) -> tuple[int, dict[str, float]]:
    """The number of actors and what each reserves: a GPU where there are any, else an equal share of the cores."""
    cluster = ray.cluster_resources()
    kind = "GPU" if cluster.get("GPU") else "CPU"
    there = int(cluster.get(kind, 0))
    wanted = actors or (there if kind == "GPU" else 1)
    if wanted > there:
        raise SvebError(f"--ray-actors {wanted}: the Ray cluster has {there} {kind}s, and every actor needs one")
    return wanted, {"num_gpus": 1} if kind == "GPU" else {"num_cpus": there // wanted}


def _execution(feed: Any, model: tuple[Any, ...], actors: int, resources: dict[str, float]) -> Iterator[pa.Table]:
    """Starts the pipeline; iterating gives one row an answered block, in any order."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # bytes: no block waits to be joined with a later one
    answers = ray.data.read_datasource(_Source(feed), override_num_blocks=1, num_cpus=0).map_batches(
        _Engine,
        fn_constructor_args=model,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=_BLOCKS_AHEAD),
        max_restarts=_RESTARTS,
        max_task_retries=-1,
        **resources,
    )
    return iter(answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
