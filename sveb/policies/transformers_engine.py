"""The transformers engine: slower at sampling than vLLM, but everywhere, and the one that shows hidden states."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from safetensors import SafetensorError

from sveb.common.errors import SvebError
from sveb.common.processor import set_threads
from sveb.policies.batches import batches
from sveb.policies.codec import TextCodec
from sveb.policies.decode import decode
from sveb.policies.models import Weights
from sveb.policies.policy import Completion, SampleRequest, Sampling, fingerprint, until_none
from sveb.policies.workers import cached_numbers

_BLOCK = 1024  # requests taken at a time, so that those of like budgets can share a batch
_MOST_ROWS = 128  # larger batches were slower
_CACHE_BYTES = {"cpu": 2 * 2**30, "cuda": 16 * 2**30}  # for the keys and values of one batch


class TransformersPolicy:
    """A causal language model of `transformers`; on CUDA in bfloat16, on CPU in float32."""

    def __init__(self, weights: Weights, chat: bool | None) -> None:
        set_threads(weights.folder)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        self.codec = TextCodec(weights.folder, chat)
        transformers.logging.disable_progress_bar()
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(weights.folder, dtype=dtype)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise SvebError(f"transformers cannot load {weights.folder}: {str(error).splitlines()[0]}") from None
        self.model: Any = model.to(self.device).eval()
        self._cache_bytes_per_token = cached_numbers(self.model.config.get_text_config()) * dtype.itemsize
        self.fingerprint = fingerprint(
            weights,
            self.codec,
            dtype=str(dtype).removeprefix("torch."),
            engine="transformers",
            engine_version=transformers.__version__,
        )

    def sample(self, requests: Iterable[SampleRequest | None], sampling: Sampling) -> Iterator[Completion]:
        """See `Policy.sample`. Requests are taken in blocks and batched by budget within a block; a None ends one."""
        source = iter(requests)
        while block := list(until_none(itertools.islice(source, _BLOCK))):
            block.sort(key=lambda request: (request.max_tokens, len(request.token_ids)))
            while block:
                width = max(len(request.token_ids) for request in block) + block[-1].max_tokens
                rows = min(_MOST_ROWS, max(1, _CACHE_BYTES[self.device] // (width * self._cache_bytes_per_token)))
                batch, block = block[-rows:], block[:-rows]
                yield from decode(self.model, batch, sampling, self.codec.stop_token_ids)

    def hidden_states(self, sequences: Sequence[Sequence[int]], layer: int = -1) -> list[npt.NDArray[np.float32]]:
        """See `Policy.hidden_states`."""
        layers = self.model.config.num_hidden_layers
        if not -(layers + 1) <= layer <= layers:
            raise SvebError(f"layer {layer} does not exist: expected {-(layers + 1)}..{layers} (0 = embeddings)")
        found: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(sequences)
        for rows, ids, mask in self._padded(sequences):
            # The backbone alone: logits over a large vocabulary would cost more than the layers.
            read = self.model.base_model(ids, attention_mask=mask, use_cache=False, output_hidden_states=True)
            hidden = read.hidden_states[layer]
            values = hidden.float().cpu().numpy()
            for row, index in enumerate(rows):
                found[index] = values[row, : len(sequences[index])].copy()
        return found

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
        """See `Policy.logprobs`."""
        found: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(sequences)
        for rows, ids, mask in self._padded(sequences):
            scores = self.model(ids, attention_mask=mask).logits[:, :-1].float().log_softmax(-1)
            values = scores.gather(-1, ids[:, 1:, None])[..., 0].cpu().numpy()
            for row, index in enumerate(rows):
                found[index] = values[row, : len(sequences[index]) - 1].copy()
        return found

    def token_weights(self, sequences: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
        """See `Policy.token_weights`."""
        found: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(sequences)
        for rows, ids, mask in self._padded(sequences):
            p = self.model(ids, attention_mask=mask).logits[:, :-1].float().softmax(-1)
            chosen = p.gather(-1, ids[:, 1:, None])[..., 0]
            values = (1 - 2 * chosen + p.square().sum(-1)).clamp(min=0).cpu().numpy()
            for row, index in enumerate(rows):
                found[index] = values[row, : len(sequences[index]) - 1].copy()
        return found

    def confidences(self, sequences: Sequence[Sequence[int]], k: int) -> list[npt.NDArray[np.float32]]:
        """One (T, 2) array a sequence, of the next token's distribution after each token, at temperature 1.

        Columns: mean log-probability of its k likeliest tokens (all, if there are fewer), and entropy in nats.
        """
        found: list[npt.NDArray[np.float32]] = [np.empty((0, 2), np.float32)] * len(sequences)
        for rows, ids, mask in self._padded(sequences):
            scores = self.model(ids, attention_mask=mask).logits.float().log_softmax(-1)
            top = scores.topk(min(k, scores.shape[-1]), dim=-1).values.mean(-1)
            entropy = -(scores.exp() * scores.clamp(min=torch.finfo(scores.dtype).min)).sum(-1)
            values = torch.stack([top, entropy], dim=-1).cpu().numpy()
            for row, index in enumerate(rows):
                found[index] = values[row, : len(sequences[index])].copy()
        return found

    def _padded(self, sequences: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Right-padded batches of like lengths: causal attention leaves real positions untouched by padding."""
        for rows in batches(sequences, self.device):
            width = len(sequences[rows[0]])
            ids = torch.full((len(rows), width), self.codec.stop_token_ids[0], dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, index in enumerate(rows):
                length = len(sequences[index])
                ids[row, :length] = torch.as_tensor(np.asarray(sequences[index], dtype=np.int64))
                mask[row, :length] = 1
            with torch.inference_mode():
                yield rows, ids.to(self.device), mask.to(self.device)

    def close(self) -> None:
        """See `Policy.close`."""
        self.model = None
        if self.device == "cuda":
            torch.cuda.empty_cache()
