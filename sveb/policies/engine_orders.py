"""The orders that a `WorkerPolicy` sends to its engine processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sveb.policies.models import Weights
from sveb.policies.policy import SampleRequest, Sampling


@dataclass(frozen=True)
class Load:
    """The policy to load: the first order, once."""

    engine: str
    weights: Weights
    chat: bool | None
    max_model_len: int | None


@dataclass(frozen=True)
class Draw:
    """More requests of a call, with their numbers."""

    call: int
    work: list[tuple[int, SampleRequest]]
    sampling: Sampling


@dataclass(frozen=True)
class Read:
    """Batches of sequences to read by the policy's `method`, with their numbers; `arguments` follow the sequences."""

    call: int
    work: list[tuple[int, Sequence[Sequence[int]]]]
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Abandon:
    """The end of a call that was not finished."""

    call: int
