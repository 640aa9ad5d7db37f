"""Hidden states and log-probabilities for engines that do not show them: transformers reads the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sveb.policies.models import Weights
from sveb.policies.policy import Arrays

if TYPE_CHECKING:
    from sveb.policies.transformers_engine import TransformersPolicy


class ForwardByTransformers:
    """The half of `Policy` that reads; loaded when it is first asked for."""

    def __init__(self, weights: Weights, chat: bool | None) -> None:
        self._weights, self._chat = weights, chat
        self._reader: TransformersPolicy | None = None

    def _read(self) -> TransformersPolicy:
        if self._reader is None:
            from sveb.policies.transformers_engine import TransformersPolicy

            self._reader = TransformersPolicy(self._weights, self._chat)
        return self._reader

    def hidden_states(self, sequences: Sequence[Sequence[int]], layer: int = -1) -> Arrays:
        """See `Policy.hidden_states`."""
        return self._read().hidden_states(sequences, layer)

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> Arrays:
        """See `Policy.logprobs`."""
        return self._read().logprobs(sequences)

    def token_weights(
        self,
        sequences: Sequence[Sequence[int]],  # noqa: ARG002
    ) -> Arrays | None:
        """See `Policy.token_weights`: None, because an engine elsewhere may hold a model that this machine cannot."""
        return None

    def close(self) -> None:
        """See `Policy.close`."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
