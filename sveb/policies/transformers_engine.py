"""The transformers engine: slower at sampling than vLLM, but everywhere, and the one that shows hidden states."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError

from sveb.common.errors import SvebError
from sveb.common.prefix_cover import Family, can_share, families
from sveb.common.processor import set_threads
from sveb.policies.batches import family_batches
from sveb.policies.codec import TextCodec
from sveb.policies.decode import decode
from sveb.policies.models import Weights
from sveb.policies.policy import Arrays, Completion, SampleRequest, Sampling, fingerprint, until_none
from sveb.policies.workers import cached_numbers

_BLOCK = 1024  # requests taken at a time, so that those of like budgets can share a batch
_MOST_ROWS = 128  # larger batches were slower
_CACHE_BYTES = {"cpu": 2 * 2**30, "cuda": 16 * 2**30}  # for the keys and values of one batch
_ALL_LAYERS_BYTES = 2**29  # for all layers' hidden states of one question


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
        self.frozen = False  # True if nobody changes the weights: then all layers of the last question may be kept
        self._last_asked: tuple[tuple[int, ...], ...] = ()
        self._all_layers: Arrays | None = None  # (T, layers + 1, width) of the sequences that were asked about last
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

    def hidden_states(self, sequences: Sequence[Sequence[int]], layer: int = -1) -> Arrays:
        """See `Policy.hidden_states`."""
        layers = self.model.config.num_hidden_layers
        if not -(layers + 1) <= layer <= layers:
            raise SvebError(f"layer {layer} does not exist: expected {-(layers + 1)}..{layers} (0 = embeddings)")

        # The backbone alone: logits over a large vocabulary would cost more than the layers.
        def read(values: Callable[[Any, torch.Tensor], torch.Tensor]) -> Arrays:
            return self._read(sequences, self.model.base_model, values, output_hidden_states=True)

        asked = tuple(map(tuple, sequences)) if self.frozen else ()
        width = self.model.config.get_text_config().hidden_size
        if not self.frozen or asked != self._last_asked:
            self._last_asked, self._all_layers = asked, None
        elif self._all_layers is None and 4 * sum(map(len, sequences)) * (layers + 1) * width <= _ALL_LAYERS_BYTES:
            # Another layer of the same sequences: more will follow, as of a probe that tries them all.
            self._all_layers = read(lambda output, _: torch.stack(output.hidden_states, dim=2).float())
        if self._all_layers is not None:
            return [each[:, layer].copy() for each in self._all_layers]
        return read(lambda output, _: output.hidden_states[layer].float())

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """See `Policy.logprobs`."""

        def values(read: Any, following: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = read.logits.float().log_softmax(-1)
            return scores.gather(-1, following[..., None])[..., 0]

        return [found[:-1] for found in self._read(sequences, self.model, values)]

    def token_weights(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """See `Policy.token_weights`."""

        def values(read: Any, following: torch.Tensor) -> torch.Tensor:
            p: torch.Tensor = read.logits.float().softmax(-1)
            chosen = p.gather(-1, following[..., None])[..., 0]
            return (1 - 2 * chosen + p.square().sum(-1)).clamp(min=0)

        return [found[:-1] for found in self._read(sequences, self.model, values)]

    def confidences(self, sequences: Sequence[Sequence[int]], k: int) -> Arrays:
        """One (T, 2) array a sequence, of the next token's distribution after each token, at temperature 1.

        Columns: mean log-probability of its k likeliest tokens (all, if there are fewer), and entropy in nats.
        """

        def values(read: Any, following: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
            scores = read.logits.float().log_softmax(-1)
            top = scores.topk(min(k, scores.shape[-1]), dim=-1).values.mean(-1)
            entropy = -(scores.exp() * scores.clamp(min=torch.finfo(scores.dtype).min)).sum(-1)
            return torch.stack([top, entropy], dim=-1)

        return self._read(sequences, self.model, values)

    def _read(
        self,
        sequences: Sequence[Sequence[int]],
        model: Any,
        values: Callable[[Any, torch.Tensor], torch.Tensor],
        **arguments: Any,
    ) -> Arrays:
        """For each sequence what `values` (n, T, ...) makes of the model's output and of the tokens that follow (n, T).

        What follows the last token of a sequence is any token.
        """
        found: Arrays = [np.empty(0, np.float32)] * len(sequences)
        whole = Family([*range(len(sequences))], 0)
        with torch.inference_mode():
            for family in families(sequences) if can_share(self.model.config) else [whole]:
                head, cache = None, None
                if family.shared:
                    start = torch.as_tensor(sequences[family.places[0]][: family.shared + 1], device=self.device)[None]
                    read = model(start[:, :-1], use_cache=True, **arguments)
                    head, cache = values(read, start[:, 1:]).cpu().numpy()[0], read.past_key_values
                for places in family_batches(sequences, family, self.device):
                    ids, mask = self._padded([sequences[place] for place in places])
                    copies = copy.deepcopy(cache)
                    if copies is not None:
                        copies.batch_repeat_interleave(len(places))
                    ids = ids[:, family.shared :]
                    read = model(
                        ids, attention_mask=mask, past_key_values=copies, use_cache=copies is not None, **arguments
                    )
                    rows = values(read, ids.roll(-1, dims=1)).cpu().numpy()
                    for row, place in zip(rows, places, strict=True):
                        own = row[: len(sequences[place]) - family.shared]
                        found[place] = own.copy() if head is None else np.concatenate([head, own])
        return found

    def _padded(self, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Right-padded, with their mask: causal attention leaves real positions untouched by padding."""
        width = max(map(len, sequences))
        ids = torch.full((len(sequences), width), self.codec.stop_token_ids[0], dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.as_tensor(np.asarray(sequence, dtype=np.int64))
            mask[row, : len(sequence)] = 1
        return ids.to(self.device), mask.to(self.device)

    def close(self) -> None:
        """See `Policy.close`."""
        self.model = None
        if self.device == "cuda":
            torch.cuda.empty_cache()
