"""Forward passes of the suite's policy for an estimator: each token read once, however many states share it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from sveb.core.errors import SvebError
from sveb.core.manifest import Manifest

if TYPE_CHECKING:
    from sveb.policies import Policy
    from sveb.policies.text import TextCodec
    from sveb.policies.transformers import TransformersPolicy

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_MOST_TOKENS = 2**19  # of one question: their hidden states are held in memory until they are sent
_ANSWERS_AT_ONCE = 64
_AFTER_MARKER = {"hashes": " ", "boxed": "{"}  # what stands between the marker and the answer, by its extractor


class RefusedError(SvebError):
    """The estimator asked for what there is not: told to it, where it asked."""


@dataclass(frozen=True)
class Cover:
    """The sequences that are no other's prefix, and for every sequence the one that it is a prefix of."""

    longest: list[list[int]]
    index: list[int]


def cover(sequences: Sequence[npt.NDArray[np.int32]]) -> Cover:
    """Sequences that must be read so that all are: in a causal model a prefix's states are its extension's."""
    listed = [sequence.tolist() for sequence in sequences]
    # In lexicographic order a prefix stands right before its extensions.
    order = sorted(range(len(listed)), key=listed.__getitem__, reverse=True)
    longest: list[list[int]] = []
    index = [0] * len(listed)
    for place in order:
        sequence = listed[place]
        if not longest or longest[-1][: len(sequence)] != sequence:
            longest.append(sequence)
        index[place] = len(longest) - 1
    return Cover(longest, index)


class Forward:
    """The suite's policy, loaded when first asked. `tokens_read` counts tokens forwarded, `load_s` its loading."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.tokens_read = 0
        self.load_s = 0.0

    @cached_property
    def _policy(self) -> Policy:
        from sveb.policies import load_policy

        started = time.perf_counter()
        wanted = self._manifest.policy
        policy = load_policy(wanted["source"], engine="transformers", revision=wanted.get("revision"))
        found = policy.fingerprint.get("sha256")
        if wanted.get("sha256") not in (None, found):
            raise SvebError(
                f"the policy at {wanted['source']} is not the one that made the suite {self._manifest.name}: its "
                f"weights have sha256 {found}, the manifest says {wanted['sha256']}"
            )
        self.load_s += time.perf_counter() - started
        return policy

    @cached_property
    def _codec(self) -> TextCodec:
        """The policy's tokenizer, without its weights."""
        from sveb.policies.models import find_model
        from sveb.policies.text import TextCodec

        started = time.perf_counter()
        codec = TextCodec(Path(self.weights_folder()), find_model(self._manifest.policy["source"]).chat)
        self.load_s += time.perf_counter() - started
        return codec

    def weights_folder(self) -> str:
        """Where the policy's weights and tokenizer are."""
        from sveb.policies.models import fetch_weights, find_model

        wanted = self._manifest.policy
        return str(fetch_weights(find_model(wanted["source"]).source, wanted.get("revision")).folder.resolve())

    def hidden_at(self, sequences: Sequence[npt.NDArray[np.int32]], ends: Sequence[Ints], layer: int) -> list[Floats]:
        """For each sequence the hidden states (n_ends, d) at the last of its first `end` tokens, end >= 1."""
        policy, read = self._policy, cover(sequences)
        _check_size(max(sum(map(len, read.longest)), sum(map(len, ends))))
        self.tokens_read += sum(map(len, read.longest))
        try:
            hidden = policy.hidden_states(read.longest, layer)
        except SvebError as error:  # a layer that the model has not
            raise RefusedError(str(error)) from None
        return [hidden[index][at - 1] for index, at in zip(read.index, ends, strict=True)]

    def text_lengths(self, sequences: Sequence[Sequence[npt.NDArray[np.int32]]]) -> list[Ints]:
        """For each list of response prefixes the lengths in characters of their texts."""
        decode = self._codec.decode_many
        return [
            np.array([len(text) for text in decode([prefix.tolist() for prefix in prefixes])], dtype=np.int64)
            for prefixes in sequences
        ]

    def logprobs(self, sequences: Sequence[npt.NDArray[np.int32]], starts: Sequence[int]) -> list[Floats]:
        """For each sequence the log-probabilities of its tokens from `start` on, start >= 1."""
        policy, read = self._policy, cover(sequences)
        _check_size(sum(map(len, read.longest)))
        self.tokens_read += sum(map(len, read.longest))
        found = policy.logprobs(read.longest)
        return [
            found[index][start - 1 : len(sequence) - 1]
            for index, sequence, start in zip(read.index, sequences, starts, strict=True)
        ]

    def confidences(self, sequences: Sequence[npt.NDArray[np.int32]], starts: Sequence[int], k: int) -> list[Floats]:
        """For each sequence, from its first `start` tokens on, the next token's distribution: see `access`."""
        # Only the transformers engine shows whole distributions, and it is the one that is loaded here.
        policy, read = cast("TransformersPolicy", self._policy), cover(sequences)
        _check_size(sum(map(len, read.longest)))
        self.tokens_read += sum(map(len, read.longest))
        found = policy.confidences(read.longest, k)
        return [
            found[index][start - 1 : len(sequence)]
            for index, sequence, start in zip(read.index, sequences, starts, strict=True)
        ]

    def answer_logprobs(self, prefixes: Sequence[npt.NDArray[np.int32]], answers: Sequence[str]) -> list[Floats]:
        """For each prefix (prompt and response so far) the log-probabilities of an answer's tokens, given now."""
        tokens = {answer: self._answer_tokens(answer) for answer in set(answers)}
        found: list[Floats] = []
        # No prefix extends another once the answer is added, so they can be read a few at a time.
        for start in range(0, len(prefixes), _ANSWERS_AT_ONCE):
            part = slice(start, start + _ANSWERS_AT_ONCE)
            announced = [
                (prefix, *tokens[answer]) for prefix, answer in zip(prefixes[part], answers[part], strict=True)
            ]
            sequences = [np.concatenate(parts).astype(np.int32) for parts in announced]
            found += self.logprobs(sequences, [len(prefix) + len(cue) for prefix, cue, _ in announced])
        return found

    def _answer_tokens(self, answer: str) -> tuple[list[int], list[int]]:
        """What announces an answer in the suite's task, and the answer, as tokens."""
        from sveb.tasks.task import Task

        task = Task.load(self._manifest.task["name"])
        cue = task.answer["marker"] + _AFTER_MARKER[task.answer["extract"]]
        tokenizer = self._codec.tokenizer
        alone: list[int] = tokenizer(cue, add_special_tokens=False)["input_ids"]
        whole: list[int] = tokenizer(cue + answer, add_special_tokens=False)["input_ids"]
        # A token may span the end of the cue and the answer's begin: it is the answer's.
        same = next((i for i, pair in enumerate(zip(alone, whole, strict=False)) if len(set(pair)) > 1), len(alone))
        if same >= len(whole):
            raise RefusedError(f"the policy's tokenizer makes nothing of the reference answer {answer!r}")
        return whole[:same], whole[same:]


def _check_size(tokens: int) -> None:
    if tokens > _MOST_TOKENS:
        raise RefusedError(
            f"{tokens} tokens at once, at most {_MOST_TOKENS} are read: ask for fewer states in one call"
        )
