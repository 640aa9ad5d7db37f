"""The vLLM engine, in this process, fed as it drains.

Settings and why: docs/decisions.md, "vLLM". In short: in-process engine core (a killed child core would hang us, a
killed parent would orphan it); on CPU no chunked prefill (with a seed a request it crashes as soon as a prompt is
split) and blocks of 32 tokens (larger ones would cache no short prefix).
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.processor import set_threads
from sveb.policies.codec import TextCodec
from sveb.policies.forward_by_transformers import ForwardByTransformers
from sveb.policies.models import Weights
from sveb.policies.policy import Arrays, Completion, SampleRequest, Sampling, fingerprint, until_none
from sveb.policies.quiet_stderr import quiet_stderr
from sveb.policies.workers import SEQUENCES, cache_bytes

_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # stdout belongs to the caller
    "VLLM_NO_USAGE_STATS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_IN_FLIGHT = 2 * SEQUENCES  # enough waiting requests to keep every slot of the batch full
_TRIM_EVERY = 20_000  # completions; glibc keeps what vLLM frees in fragments


class VllmPolicy(ForwardByTransformers):
    """A causal language model of vLLM; on CUDA in the checkpoint's dtype, on CPU in float32."""

    def __init__(self, weights: Weights, chat: bool | None, max_model_len: int | None) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        set_threads(weights.folder)
        self.codec = TextCodec(weights.folder, chat)
        super().__init__(weights, chat)  # vLLM shows no hidden states but the last layer's
        self._max_model_len = max_model_len
        self._llm, version = _start(weights, max_model_len)
        self._served = 0
        self.fingerprint = fingerprint(
            weights,
            self.codec,
            dtype=str(self._llm.llm_engine.model_config.dtype).removeprefix("torch."),
            engine="vllm",
            engine_version=version,
        )

    def sample(self, requests: Iterable[SampleRequest | None], sampling: Sampling) -> Iterator[Completion]:
        """See `Policy.sample`. At most `_IN_FLIGHT` requests are held, so memory does not grow with their number.

        None says that there is nothing yet: the engine goes on with what it has, and asks again.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self._running().llm_engine
        open_requests: dict[str, SampleRequest] = {}
        source = iter(requests)
        try:
            while True:
                for request in until_none(islice(source, _IN_FLIGHT - len(open_requests))):
                    name = str(self._served)
                    self._served += 1
                    params = SamplingParams(
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        seed=request.seed,
                        max_tokens=request.max_tokens,
                        stop_token_ids=self.codec.stop_token_ids,
                        detokenize=False,
                        output_kind=RequestOutputKind.FINAL_ONLY,
                    )
                    engine.add_request(name, {"prompt_token_ids": [int(t) for t in request.token_ids]}, params)
                    open_requests[name] = request
                if not open_requests:
                    break
                for output in engine.step():
                    if not output.finished:
                        continue
                    finished = open_requests.pop(output.request_id)
                    completion = output.outputs[0]
                    if self._served % _TRIM_EVERY == 0:
                        _trim_memory()
                    yield Completion(
                        finished.key,
                        np.asarray(completion.token_ids, dtype=np.int32),
                        "length" if completion.finish_reason == "length" else "stop",
                    )
        finally:
            # Left in the queue, they would come back out of the next call.
            if open_requests:
                engine.abort_request(list(open_requests))

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """See `Policy.logprobs`."""
        from vllm import SamplingParams

        params = SamplingParams(temperature=1.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        prompts = [{"prompt_token_ids": [int(t) for t in sequence]} for sequence in sequences]
        outputs = self._running().generate(prompts, params, use_tqdm=False)
        return [
            np.asarray(
                [
                    scores[token].logprob
                    for token, scores in zip(prompt["prompt_token_ids"][1:], output.prompt_logprobs[1:], strict=True)
                ],
                dtype=np.float32,
            )
            for prompt, output in zip(prompts, outputs, strict=True)
        ]

    def token_weights(self, sequences: Sequence[Sequence[int]]) -> Arrays | None:
        """See `Policy.token_weights`. Transformers reads the same weights; vLLM ends first, since it fills a GPU."""
        self._end()
        return self._read().token_weights(sequences)

    def close(self) -> None:
        """See `Policy.close`. Two live engines in one process break each other; one after another works."""
        self._end()
        super().close()

    def _running(self) -> Any:
        """The engine, started again if `token_weights` has ended it."""
        if self._llm is None:
            super().close()
            self._llm, _ = _start(self._weights, self._max_model_len)
        return self._llm

    def _end(self) -> None:
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None
            gc.collect()


@quiet_stderr()
def _start(weights: Weights, max_model_len: int | None) -> tuple[Any, str]:
    """The engine and vLLM's version."""
    import vllm
    from vllm.platforms import current_platform

    on_cpu: dict[str, Any] = {
        "dtype": "float32",
        "block_size": 32,
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(4096, max_model_len or 0),
        "kv_cache_memory_bytes": cache_bytes(weights.folder, max_model_len),  # committed at once
    }
    try:
        llm = vllm.LLM(
            model=str(weights.folder),
            max_model_len=max_model_len,
            max_num_seqs=SEQUENCES,
            enable_prefix_caching=True,
            generation_config="vllm",  # the checkpoint's sampling defaults must never override ours
            skip_tokenizer_init=True,  # token ids in, token ids out: `codec` is the only tokenizer
            disable_log_stats=True,
            **(on_cpu if current_platform.is_cpu() else {}),
        )
    except (ValueError, RuntimeError, OSError) as error:
        raise SvebError(
            f"vLLM cannot load {weights.folder}: {' '.join(str(error).split())[:300]}; `--engine transformers` may"
        ) from error
    return llm, vllm.__version__


def _trim_memory() -> None:
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:  # not glibc
        return
