"""Trains a value model as PPO trains its critic: batches with frozen targets, gradient steps on parts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sveb.common.errors import SvebError
from sveb.contract.problem import Tokens, Values
from sveb.estimators.shared.value_model import (
    ValueModel,
    lambda_returns,
    padded,
    predict,
    token_losses,
)
from sveb.estimators.shared.value_store import History, Store

_BATCH, _MINI_BATCH = 64, 16  # rollouts whose targets are computed together, and rollouts per gradient step
_MOST_GRADIENT = 1.0


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The tokens of prompt and response, the prompt's length, and the response's return."""

    token_ids: Tokens
    n_prompt: int
    return_: float

    @property
    def n_states(self) -> int:
        """Number of response tokens: each has a state before it, with a value to learn."""
        return len(self.token_ids) - self.n_prompt


@dataclass(frozen=True)
class Recipe:
    """`lam` of the targets (gamma is 1), number of epochs, highest learning rate, and seed of the order."""

    lam: float
    epochs: int
    lr: float
    seed: int


def train(
    model: ValueModel,
    learned: Sequence[Trajectory],
    held_out: Sequence[Trajectory],
    recipe: Recipe,
    store: Store,
    progress: Callable[[int, int], None],
) -> History:
    """Trains in place and keeps the epoch with the smallest held-out squared error to returns.

    As in PPO, a batch's targets and old values are computed before its gradient steps. The loss is averaged over the
    response's tokens of a step, however many passes it takes. If `store` has the same training, it is continued.
    """
    if (ended := store.finished(recipe.epochs)) is not None:
        store.finish(model)
        return ended
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.0)
    steps = recipe.epochs * -(-len(learned) // _MINI_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps + 1, pct_start=0.05)
    state: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    first_epoch, first, history = store.resume(state)
    for epoch in range(first_epoch, recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(learned))
        for start in range(first, len(order), _BATCH):
            store.save(state, (epoch, start), history)
            batch = [learned[i] for i in order[start : start + _BATCH]]
            for done, loss in gradient_steps(model, optimizer, batch, recipe.lam):
                history.losses.append(loss)
                schedule.step()
                progress(epoch * len(learned) + start + done, recipe.epochs * len(learned))
        first = 0
        history.held_out.append(squared_error(model, held_out))
        if not np.isfinite(history.held_out[-1]):
            raise SvebError(f"critic: training diverged in epoch {epoch + 1}: choose an lr below {recipe.lr}")
        store.keep(model, history)
        store.save(state, (epoch + 1, 0), history)
    store.finish(model)
    return history


def tuned(model: ValueModel, rollouts: Sequence[Trajectory], recipe: Recipe) -> ValueModel:
    """A copy of a trained model after further epochs on these rollouts, at a constant learning rate.

    The model itself stays as it is.
    """
    copy = deepcopy(model)
    optimizer = torch.optim.AdamW(copy.parameters(), lr=recipe.lr, weight_decay=0.0)
    for epoch in range(recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(rollouts))
        for start in range(0, len(order), _BATCH):
            for _ in gradient_steps(copy, optimizer, [rollouts[i] for i in order[start : start + _BATCH]], recipe.lam):
                pass
    return copy


def gradient_steps(
    model: ValueModel, optimizer: torch.optim.Optimizer, batch: Sequence[Trajectory], lam: float
) -> Iterator[tuple[int, float]]:
    """The gradient steps on one batch. After each: how many of its rollouts are done, and the step's loss."""
    old = _old_values(model, batch, lam)
    for begin in range(0, len(batch), _MINI_BATCH):
        part = slice(begin, begin + _MINI_BATCH)
        yield begin + len(batch[part]), _step(model, optimizer, batch[part], old[part], lam)


def _old_values(model: ValueModel, batch: Sequence[Trajectory], lam: float) -> list[Values]:
    """V at every token before the batch's first step, if the targets or the loss use it; else zeros."""
    if lam == 1.0 and model.loss != "clipped":
        return [np.zeros(len(sequence.token_ids)) for sequence in batch]
    return predict(model, [sequence.token_ids for sequence in batch])


def _step(
    model: ValueModel, optimizer: torch.optim.Optimizer, batch: Sequence[Trajectory], old: Sequence[Values], lam: float
) -> float:
    """One gradient step on the mean loss over the batch's response tokens; returns that loss."""
    n_states = sum(sequence.n_states for sequence in batch)
    optimizer.zero_grad()
    mean = 0.0
    for rows, shared in model.passes([sequence.token_ids for sequence in batch]):
        loss = _summed_loss(model, [batch[row] for row in rows], [old[row] for row in rows], lam, shared) / n_states
        loss.backward()  # type: ignore[no-untyped-call]
        mean += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), _MOST_GRADIENT)
    optimizer.step()
    return mean


def _summed_loss(
    model: ValueModel, part: Sequence[Trajectory], old: Sequence[Values], lam: float, shared: int
) -> torch.Tensor:
    ids, mask = padded([sequence.token_ids for sequence in part], model.head.weight.device)
    # The state before response token t ends with the token at n_prompt - 1 + t.
    states, values, rewards = (torch.zeros(ids.shape) for _ in range(3))
    for row, (sequence, before) in enumerate(zip(part, old, strict=True)):
        first, last = sequence.n_prompt - 1, len(sequence.token_ids) - 1
        states[row, first:last] = 1.0
        values[row, first:last] = torch.as_tensor(before[first:last], dtype=torch.float32)
        rewards[row, last - 1] = sequence.return_
    targets = lambda_returns(rewards[:, :-1], values, lam)
    on = ids.device
    losses = token_losses(model.loss, model(ids, mask, shared)[:, :-1], targets.to(on), values[:, :-1].to(on))
    return (losses * states[:, :-1].to(on)).sum()


def squared_error(model: ValueModel, sequences: Sequence[Trajectory]) -> float:
    """Mean squared error to the return over the responses' tokens."""
    found = predict(model, [sequence.token_ids for sequence in sequences])
    errors = [
        (values[sequence.n_prompt - 1 : -1] - sequence.return_) ** 2
        for values, sequence in zip(found, sequences, strict=True)
    ]
    return float(np.concatenate(errors).mean())
