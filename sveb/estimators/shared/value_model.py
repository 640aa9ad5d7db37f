"""A value model as PPO trains it: a copy of the policy's backbone with a linear head, on every response token.

Generalised advantage estimation (Schulman et al., arXiv 1506.02438, equation 16), the clipped value loss of PPO's
implementations (Huang et al., "The 37 Implementation Details of PPO", detail 9), and histogram losses (HL-Gauss:
Farebrother et al., arXiv 2403.03950, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModel, logging

from sveb.common.prefix_cover import Family, can_share, families
from sveb.common.processor import set_threads
from sveb.contract.problem import Floats, Tokens, Values

BINS = 51
_SPREAD = 0.75  # of a bin's width: the histogram target's standard deviation
_CLIP = 0.2


def backbone_of(weights: str, pretrained: bool) -> Any:
    """The policy's backbone in float32: with its weights, or with random ones."""
    set_threads(Path(weights))
    logging.disable_progress_bar()
    if pretrained:
        return AutoModel.from_pretrained(weights, dtype=torch.float32)
    return AutoModel.from_config(AutoConfig.from_pretrained(weights))


class ValueModel(torch.nn.Module):
    """V(s) at every token. `loss` is mse, clipped, bce or hlgauss, and decides what the head's outputs mean.

    The head's weights are float32; with `in_bfloat16` a float32 backbone computes in bfloat16 where that is safe.
    `tokens_at_once` bounds the padded tokens of one pass, and so its memory. What all sequences of a pass begin
    with is read once if it is long, as worked examples are.
    """

    def __init__(self, backbone: Any, loss: str, in_bfloat16: bool = False, tokens_at_once: int = 1024) -> None:
        super().__init__()
        self.backbone = backbone
        self.loss = loss
        self.in_bfloat16 = in_bfloat16
        self.tokens_at_once = tokens_at_once
        self.head = torch.nn.Linear(backbone.config.hidden_size, BINS if loss == "hlgauss" else 1)
        # Training starts from the same value everywhere, not from noise.
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self.eval()  # without dropout, as PPO trains

    def forward(self, read: torch.Tensor, mask: torch.Tensor, shared: int = 0) -> torch.Tensor:
        """The head's outputs (batch, tokens, 1 or BINS). `read`: token ids, or float embeddings (batch, tokens, d).

        All sequences begin with the same `shared` tokens.
        """
        with torch.autocast(read.device.type, torch.bfloat16) if self.in_bfloat16 else nullcontext():
            hidden = self._hidden_after(shared, read, mask) if shared else self._hidden(read, mask)
        outputs: torch.Tensor = self.head(hidden.float())
        return outputs

    def _hidden(self, read: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        embedded = read.is_floating_point()
        given = {"inputs_embeds": read.to(self.backbone.dtype)} if embedded else {"input_ids": read}
        states: torch.Tensor = self.backbone(**given, attention_mask=mask, use_cache=False).last_hidden_state
        return states

    def _hidden_after(self, shared: int, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        first = self.backbone(input_ids=ids[:1, :shared], use_cache=True)
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(ids))
        rest = self.backbone(input_ids=ids[:, shared:], attention_mask=mask, past_key_values=cache, use_cache=True)
        return torch.cat([first.last_hidden_state.expand(len(ids), -1, -1), rest.last_hidden_state], dim=1)

    def passes(self, sequences: Sequence[Tokens | Floats]) -> Iterator[tuple[list[int], int]]:
        """The rows of each pass that reads `sequences`, and how many tokens they share at their beginning."""
        sharing = sequences[0].ndim == 1 and can_share(self.backbone.config)
        whole = Family([*range(len(sequences))], 0)
        for family in families([each.tolist() for each in sequences]) if sharing else [whole]:
            own = [len(sequences[place]) - family.shared for place in family.places]
            for rows in parts(own, self.tokens_at_once - family.shared):
                yield [family.places[row] for row in rows], family.shared

    def values(self, outputs: torch.Tensor) -> torch.Tensor:
        """The values that the head's outputs mean: (batch, tokens)."""
        if self.loss == "hlgauss":
            return outputs.softmax(-1) @ _centres().to(outputs)
        return outputs[..., 0].sigmoid() if self.loss == "bce" else outputs[..., 0]


def lambda_returns(rewards: torch.Tensor, values: torch.Tensor, lam: float, gamma: float = 1.0) -> torch.Tensor:
    """R_t = A_t + V(s_t), A_t = sum_l (gamma lam)^l (r_(t+l) + gamma V(s_(t+l+1)) - V(s_(t+l))), (batch, T).

    `rewards` (batch, T), `values` (batch, T + 1); after a response's end both are 0. lam = 1: the rewards to come
    themselves; lam = 0: r_t + gamma V(s_(t+1)).
    """
    found = torch.empty_like(rewards)
    later = values[:, -1]
    for t in range(rewards.shape[1] - 1, -1, -1):
        later = rewards[:, t] + gamma * ((1 - lam) * values[:, t + 1] + lam * later)
        found[:, t] = later
    return found


def token_losses(kind: str, outputs: torch.Tensor, targets: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """Loss at each token (batch, T) of the head's outputs (batch, T, 1 or BINS) against targets (batch, T).

    clipped: the larger of the squared errors of V and of V kept within .2 of `old`, the value before this batch.
    """
    if kind == "hlgauss":
        entropies: torch.Tensor = -(histogram(targets) * outputs.log_softmax(-1)).sum(-1)
        return entropies
    given = outputs[..., 0]
    if kind == "bce":
        crossed: torch.Tensor = functional.binary_cross_entropy_with_logits(given, targets, reduction="none")
        return crossed
    plain = (given - targets) ** 2
    if kind == "mse":
        return plain
    return torch.maximum(plain, (old + (given - old).clamp(-_CLIP, _CLIP) - targets) ** 2)


def histogram(targets: torch.Tensor) -> torch.Tensor:
    """Mass (..., BINS) of a Gaussian around each target in [0, 1], cut to [0, 1]."""
    edges = torch.linspace(0, 1, BINS + 1).to(targets)
    below = torch.special.ndtr((edges - targets[..., None]) * BINS / _SPREAD)
    masses: torch.Tensor = below.diff(dim=-1) / (below[..., -1:] - below[..., :1])
    return masses


def predict(model: ValueModel, sequences: Sequence[Tokens | Floats]) -> list[Values]:
    """V at every token of each sequence, arrays (n_tokens,); a sequence is token ids (n,) or vectors (n, d)."""
    found: list[Values] = [np.empty(0)] * len(sequences)
    for rows, shared in model.passes(sequences):
        with torch.inference_mode():
            read, mask = padded([sequences[row] for row in rows], model.head.weight.device)
            values = model.values(model(read, mask, shared)).double().cpu().numpy()
        for place, row in enumerate(rows):
            found[row] = values[place, : len(sequences[row])]
    return found


def parts(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Rows of sequences, longest first, in parts of at most `tokens` padded tokens and at least one sequence."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        size = max(1, tokens // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def padded(sequences: Sequence[Tokens | Floats], device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded sequences and mask: causal attention leaves real positions untouched."""
    shape = (len(sequences), max(map(len, sequences)))
    vectors = sequences[0].ndim == 2
    read = torch.zeros((*shape, *sequences[0].shape[1:]), dtype=torch.float32 if vectors else torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        read[row, : len(sequence)] = torch.as_tensor(np.asarray(sequence, np.float32 if vectors else np.int64))
        mask[row, : len(sequence)] = 1
    return read.to(device), mask.to(device)


def _centres() -> torch.Tensor:
    return (torch.arange(BINS) + 0.5) / BINS
