"""Decoding a batch with a transformers model, each row with a random stream of its own.

`generate(do_sample=True)` has one stream for the whole batch, so that a row's tokens would depend on its company; it
keeps finished rows in the batch until the longest one ends, and copies the whole cache at every step. Here a row
inverts its own distribution at one uniform a token, rows leave when they have ended, and the cache has room to grow:
about two and a half times as fast on the embedded policy, with the same tokens.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from sveb.policies.policy import Completion, SampleRequest, Sampling

_ROOM = 64  # tokens that a cache has room for before it is copied into a larger one
_LEAVE = 0.25  # share of rows that must have ended before the batch is made smaller: that copies the cache


@torch.inference_mode()
def decode(
    model: Any, batch: Sequence[SampleRequest], sampling: Sampling, stop_token_ids: Sequence[int]
) -> Iterator[Completion]:
    """Completions of one batch, each as it ends. Prompts are padded on the left."""
    prompt_width = max(len(request.token_ids) for request in batch)
    budget = max(request.max_tokens for request in batch)
    device = model.device
    ids = torch.full((len(batch), prompt_width), stop_token_ids[0])
    mask = torch.ones((len(batch), prompt_width + budget), dtype=torch.long)
    for row, request in enumerate(batch):
        start = prompt_width - len(request.token_ids)
        ids[row, start:] = torch.as_tensor(np.asarray(request.token_ids, dtype=np.int64))
        mask[row, :start] = 0
    uniforms = np.stack([np.random.default_rng(request.seed).random(budget) for request in batch])
    rows = _Rows(ids.to(device), mask.to(device), torch.from_numpy(uniforms).to(device), batch)
    cache = DynamicCache(config=model.config)
    cache.layers = [_RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    # A recurrent layer's state cannot be cut by rows: its batches stay whole.
    divisible = all(hasattr(layer, "batch_select_indices") for layer in cache.layers)
    last_only = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    stops = torch.tensor(list(stop_token_ids), device=device)
    drawn = np.empty((len(batch), budget), dtype=np.int32)
    for step in range(budget):
        scores = model(
            rows.ids,
            attention_mask=rows.mask[:, : prompt_width + step],
            position_ids=rows.positions,
            past_key_values=cache,
            use_cache=True,
            **last_only,
        ).logits[:, -1]
        tokens = draw(scores, sampling, rows.uniforms[:, step])
        drawn[rows.numbers, step] = tokens.cpu().numpy()
        stopped = torch.isin(tokens, stops).cpu().numpy()
        ended = rows.open & (stopped | (rows.budgets <= step + 1))
        for place in np.flatnonzero(ended):
            row = int(rows.numbers[place])
            yield Completion(batch[row].key, drawn[row, : step + 1].copy(), "stop" if stopped[place] else "length")
        rows.open &= ~ended
        if not rows.open.any():
            return
        rows.advance(tokens)
        if divisible and rows.open.mean() <= 1 - _LEAVE:
            cache.batch_select_indices(rows.keep_open())


def draw(scores: torch.Tensor, sampling: Sampling, uniforms: torch.Tensor) -> torch.Tensor:
    """One token a row: the inverse of its distribution function at its uniform; at temperature 0 the likeliest.

    `scores` are (rows, vocabulary) logits, `uniforms` (rows,) in [0, 1), in float64.
    """
    if sampling.temperature == 0:
        return scores.argmax(-1)
    probabilities = (scores.double() / sampling.temperature).softmax(-1)
    if sampling.top_p == 1:
        cumulative = probabilities.cumsum(-1)
        return _place(cumulative, uniforms)[:, 0]
    ordered, tokens = probabilities.sort(-1, descending=True)
    nucleus = (ordered.cumsum(-1) - ordered) < sampling.top_p
    cumulative = torch.where(nucleus, ordered, 0).cumsum(-1)
    return tokens.gather(-1, _place(cumulative, uniforms))[:, 0]


def _place(cumulative: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    target = uniforms[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[-1] - 1)


class _Rows:
    """What the rows still in the batch need for the next step; `numbers` are their places in the whole batch."""

    def __init__(
        self, ids: torch.Tensor, mask: torch.Tensor, uniforms: torch.Tensor, batch: Sequence[SampleRequest]
    ) -> None:
        self.ids, self.mask, self.uniforms = ids, mask, uniforms
        self.positions = (mask[:, : ids.shape[1]].cumsum(-1) - 1).clamp(min=0)
        self.numbers = np.arange(len(batch))
        self.budgets = np.array([request.max_tokens for request in batch])
        self.open = np.ones(len(batch), dtype=bool)

    def advance(self, tokens: torch.Tensor) -> None:
        self.ids, self.positions = tokens[:, None], self.positions[:, -1:] + 1

    def keep_open(self) -> torch.Tensor:
        """Drops the rows that have ended; the places of the others."""
        kept = torch.from_numpy(np.flatnonzero(self.open)).to(self.ids.device)
        self.ids, self.mask, self.uniforms, self.positions = (
            values[kept] for values in (self.ids, self.mask, self.uniforms, self.positions)
        )
        self.numbers, self.budgets = self.numbers[self.open], self.budgets[self.open]
        self.open = self.open[self.open]
        return kept


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A layer's keys and values as views into buffers with room for the next tokens."""

    keys: torch.Tensor
    values: torch.Tensor

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self._buffers: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        end = length + key_states.shape[-2]
        if not self._buffers or end > self._buffers[0].shape[-2]:
            larger = [
                new.new_empty((*new.shape[:-2], end + _ROOM, new.shape[-1])) for new in (key_states, value_states)
            ]
            if length:
                for buffer, old in zip(larger, (self.keys, self.values), strict=True):
                    buffer[:, :, :length] = old
            self._buffers = larger
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, length:end] = new
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        length = self.get_seq_length()
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)
