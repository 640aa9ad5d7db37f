"""A value model as PPO trains it: a copy of the policy's backbone with a linear head, on every response token.

Generalised advantage estimation (Schulman et al., arXiv 1506.02438, equation 16), the clipped value loss of PPO's
implementations (Huang et al., "The 37 Implementation Details of PPO", detail 9), and histogram losses (HL-Gauss:
Farebrother et al., arXiv 2403.03950, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModel, logging

BINS = 51
_SPREAD = 0.75  # of a bin's width: the histogram target's standard deviation
_CLIP = 0.2
_BATCH, _MINI_BATCH = 64, 16  # rollouts whose targets are frozen together, and rollouts a gradient step
_TOKENS = 16_384  # padded tokens of a forward pass without gradients
_MOST_GRADIENT = 1.0


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Prompt and response, how long the prompt is, and the response's return."""

    token_ids: npt.NDArray[np.int32]
    n_prompt: int
    return_: float


class ValueModel(torch.nn.Module):
    """V(s) at every token. `loss` is mse, clipped, bce or hlgauss: it decides what the head's outputs mean."""

    def __init__(self, weights: str, pretrained: bool, loss: str) -> None:
        super().__init__()
        logging.disable_progress_bar()
        config = AutoConfig.from_pretrained(weights)
        self.backbone: Any = (
            AutoModel.from_pretrained(weights, dtype=torch.float32) if pretrained else AutoModel.from_config(config)
        )
        self.loss = loss
        self.head = torch.nn.Linear(config.hidden_size, BINS if loss == "hlgauss" else 1)
        # So that training starts from one value everywhere, not from noise.
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The head's outputs (batch, tokens, 1 or BINS)."""
        hidden = self.backbone(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        outputs: torch.Tensor = self.head(hidden.float())
        return outputs

    def values(self, outputs: torch.Tensor) -> torch.Tensor:
        """What the outputs say: (batch, tokens)."""
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


def train(
    model: ValueModel,
    sequences: Sequence[Trajectory],
    held_out: Sequence[Trajectory],
    lam: float,
    epochs: int,
    lr: float,
    generator: np.random.Generator,
) -> list[float]:
    """Trains in place and keeps the epoch with the least held-out squared error to returns; gives those errors.

    As in PPO, a batch's targets and old values are computed before its gradient steps. gamma = 1; the loss is averaged
    over the response's tokens of a step.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    steps = epochs * -(-len(sequences) // _MINI_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps + 1, pct_start=0.05)
    errors: list[float] = []
    best: dict[str, torch.Tensor] = {}
    for _ in range(epochs):
        order = generator.permutation(len(sequences))
        for start in range(0, len(order), _BATCH):
            batch = [sequences[i] for i in order[start : start + _BATCH]]
            batch.sort(key=lambda sequence: len(sequence.token_ids))
            for part, old in _with_values(model, batch, _MINI_BATCH):
                optimizer.zero_grad()
                _loss(model, part, old, lam).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(model.parameters(), _MOST_GRADIENT)
                optimizer.step()
                schedule.step()
        errors.append(_error(model, held_out))
        if errors[-1] == min(errors):
            best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(best)
    return errors


def predict(model: ValueModel, sequences: Sequence[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.float64]]:
    """V at every token of each sequence: arrays (n_tokens,)."""
    found: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    while order:
        size = max(1, _TOKENS // max(1, len(sequences[order[0]])))
        rows, order = order[:size], order[size:]
        with torch.inference_mode():
            values = model.values(model(*_padded(model, [sequences[row] for row in rows]))).double().cpu().numpy()
        for place, row in enumerate(rows):
            found[row] = values[place, : len(sequences[row])]
    return found


def _with_values(
    model: ValueModel, batch: Sequence[Trajectory], size: int
) -> Iterator[tuple[Sequence[Trajectory], list[npt.NDArray[np.float64]]]]:
    """Parts of a batch with the values that all of it had before the first part's step."""
    old = predict(model, [sequence.token_ids for sequence in batch])
    for start in range(0, len(batch), size):
        yield batch[start : start + size], old[start : start + size]


def _loss(
    model: ValueModel, part: Sequence[Trajectory], old: Sequence[npt.NDArray[np.float64]], lam: float
) -> torch.Tensor:
    ids, mask = _padded(model, [sequence.token_ids for sequence in part])
    # The state before response token t ends with the token at n_prompt - 1 + t.
    states, values, rewards = (torch.zeros(ids.shape, device=ids.device) for _ in range(3))
    for row, (sequence, before) in enumerate(zip(part, old, strict=True)):
        first, last = sequence.n_prompt - 1, len(sequence.token_ids) - 1
        states[row, first:last] = 1.0
        values[row, first:last] = torch.as_tensor(before[first:last], dtype=torch.float32)
        rewards[row, last - 1] = sequence.return_
    targets = lambda_returns(rewards[:, :-1], values, lam)
    losses = token_losses(model.loss, model(ids, mask)[:, :-1], targets, values[:, :-1])
    return (losses * states[:, :-1]).sum() / states.sum()


def _error(model: ValueModel, sequences: Sequence[Trajectory]) -> float:
    """Mean squared error to the return over the responses' tokens."""
    found = predict(model, [sequence.token_ids for sequence in sequences])
    errors = [
        (values[sequence.n_prompt - 1 : -1] - sequence.return_) ** 2
        for values, sequence in zip(found, sequences, strict=True)
    ]
    return float(np.concatenate(errors).mean())


def _padded(model: ValueModel, sequences: Sequence[npt.NDArray[np.int32]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded token ids and mask: causal attention leaves real positions untouched."""
    ids = torch.zeros((len(sequences), max(map(len, sequences))), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.as_tensor(sequence.astype(np.int64))
        mask[row, : len(sequence)] = 1
    device = model.head.weight.device
    return ids.to(device), mask.to(device)


def _centres() -> torch.Tensor:
    return (torch.arange(BINS) + 0.5) / BINS
