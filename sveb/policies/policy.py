"""What a policy can do, whichever engine runs it. Everything is token ids: text never goes back in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sveb.policies.codec import TextCodec
from sveb.policies.models import Weights
from sveb.suite.records import FinishReason

Tokens = npt.NDArray[np.int32]
Arrays = list[npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Sampling:
    """How the policy samples: part of its definition. `max_new_tokens` is a whole response's token budget."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One continuation to draw: of `token_ids` (prompt and prefix), at most `max_tokens` long.

    Its tokens depend on the prefix and `seed` alone, not on what else is in the batch.
    """

    key: Any
    token_ids: Sequence[int]
    seed: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """`token_ids` end with the stop token where there was one; `length` means that the budget ran out."""

    key: Any
    token_ids: Tokens
    finish_reason: FinishReason


def until_none(requests: Iterable[SampleRequest | None]) -> Iterator[SampleRequest]:
    """The requests before the first None, which says that there is nothing more at the moment."""
    for request in requests:
        if request is None:
            return
        yield request


class Policy(Protocol):
    """A frozen language model behind one engine.

    `fingerprint` identifies weights, numerics and the handling of text: see `fingerprint`.
    """

    codec: TextCodec
    fingerprint: dict[str, Any]

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling) -> Iterator[Completion]:
        """Draws every request once and yields it as it finishes, in any order; pulls requests as it needs them."""
        ...

    def hidden_states(self, sequences: Sequence[Sequence[int]], layer: int = -1) -> Arrays:
        """One (T, width) array a sequence: the residual stream after `layer` (0 = embeddings, -1 = last, normed)."""
        ...

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """One (T - 1,) array a sequence: log pi(token t | tokens before it) at temperature 1, t = 1..T-1."""
        ...

    def token_weights(self, sequences: Sequence[Sequence[int]]) -> Arrays | None:
        """One (T - 1,) array a sequence: 1 - 2 p(token t) + sum_a p(a)^2, in [0, 2], t = 1..T-1.

        p is the distribution of the next token after those before t, at temperature 1. The weight is the squared length
        of the gradient of log p(token t) with respect to the logits. None if the model is not in this process.
        """
        ...

    def close(self) -> None:
        """Frees the engine's memory."""
        ...


def fingerprint(
    weights: Weights, codec: TextCodec, *, dtype: str | None, engine: str, engine_version: str | None
) -> dict[str, Any]:
    """What a suite's manifest says of its policy; None is what the engine does not tell."""
    return {
        "source": weights.source,
        "revision": weights.revision,
        "sha256": weights.sha256,
        **weights.origin,
        "dtype": dtype,
        "engine": engine,
        "engine_version": engine_version,
        "codec": codec.describe(),
    }
