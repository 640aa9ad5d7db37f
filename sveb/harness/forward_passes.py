"""Forward passes of the suite's policy for an estimator: each token read once, however many states share it.

What was read is kept on disk (`cache`). A reading that comes from there is charged with the seconds that it took when
it was computed, and the tokens are charged too: an estimator's cost does not tell whether the cache was warm.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.prefix_cover import cover
from sveb.contract.problem import Floats, Ints, Tokens
from sveb.harness.readings_cache import Readings, cache_folder
from sveb.suite.manifest import Manifest

if TYPE_CHECKING:
    from sveb.policies.codec import TextCodec
    from sveb.policies.policy import Policy
    from sveb.policies.transformers_engine import TransformersPolicy

_MOST_TOKENS = 2**19  # of one question: their hidden states are held in memory until they are sent
_ANSWERS_AT_ONCE = 64
_AFTER_MARKER = {"hashes": " ", "boxed": "{"}  # what stands between the marker and the answer, by its extractor


class RefusedError(SvebError):
    """The estimator asked for what there is not: told to it, where it asked."""


def load_checked(manifest: Manifest, engine: str | None, max_model_len: int | None = None) -> Policy:
    """The suite's policy. Raises SvebError when the weights found are not those that made the suite."""
    from sveb.policies.engines import load_policy

    wanted = manifest.policy
    policy = load_policy(wanted["source"], engine, max_model_len=max_model_len, revision=wanted.get("revision"))
    found = policy.fingerprint.get("sha256")
    if wanted.get("sha256") not in (None, found):
        raise SvebError(
            f"the policy at {wanted['source']} is not the one that made the suite {manifest.name}: its weights have "
            f"sha256 {found}, the manifest says {wanted['sha256']}"
        )
    return policy


class Forward:
    """The suite's policy, loaded when first needed.

    `tokens_read` counts tokens read. `uncharged_s` are seconds that are the harness's own: loading the policy, and
    what the cache took less what it spared, so that an estimator pays for its readings as if it made each of them.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.tokens_read = 0
        self.uncharged_s = 0.0

    @cached_property
    def _policy(self) -> Policy:
        started = time.perf_counter()
        policy = load_checked(self._manifest, "transformers")
        self.uncharged_s += time.perf_counter() - started
        return policy

    @cached_property
    def _readings(self) -> Readings | None:
        """None where the manifest does not tell which weights it means: their readings could be another's."""
        weights = self._manifest.policy.get("sha256")
        if weights is None:
            return None
        # What decides numerics and speed, told without the seconds that importing the engine takes.
        identity = {
            "weights": weights,
            "versions": [version("torch"), version("transformers")],
            "machine": [platform.node(), platform.machine()],
            "gpu": [Path("/proc/driver/nvidia/version").exists(), os.environ.get("CUDA_VISIBLE_DEVICES")],
        }
        name = re.sub(r"[^A-Za-z0-9._-]", "_", self._manifest.name)
        return Readings(cache_folder(), f"{name}-{self._manifest.checksum[:16]}", identity)

    def _read(
        self, kind: str, sequences: list[list[int]], compute: Callable[[list[list[int]]], list[Floats]]
    ) -> list[Floats]:
        """What `compute` gives for these sequences, from the cache where it is there."""
        began = time.perf_counter()
        self.tokens_read += sum(map(len, sequences))
        if self._readings is None:
            _ = self._policy  # loading is not charged, computing is
            return compute(sequences)
        kept = [self._readings.get(kind, sequence) for sequence in sequences]
        missing = [sequence for sequence, one in zip(sequences, kept, strict=True) if one is None]
        before, charged = self.uncharged_s, sum(one[1] for one in kept if one is not None)
        if missing:
            _ = self._policy
            started = time.perf_counter()
            computed = compute(missing)
            seconds = time.perf_counter() - started
            charged += seconds
            share = seconds / max(1, sum(map(len, missing)))
            for sequence, array in zip(missing, computed, strict=True):
                self._readings.put(kind, sequence, array, share * len(sequence))
            fresh = iter(computed)
        found = [next(fresh) if one is None else one[0] for one in kept]
        self.uncharged_s = before + time.perf_counter() - began - charged
        return found

    @cached_property
    def _codec(self) -> TextCodec:
        """The policy's tokenizer, without its weights."""
        from sveb.policies.codec import TextCodec
        from sveb.policies.models import find_model

        started = time.perf_counter()
        codec = TextCodec(Path(self.weights_folder()), find_model(self._manifest.policy["source"]).chat)
        self.uncharged_s += time.perf_counter() - started
        return codec

    def weights_folder(self) -> str:
        """Where the policy's weights and tokenizer are."""
        from sveb.policies.models import fetch_weights, find_model

        wanted = self._manifest.policy
        return str(fetch_weights(find_model(wanted["source"]).source, wanted.get("revision")).folder.resolve())

    def hidden_at(self, sequences: Sequence[Tokens], ends: Sequence[Ints], layer: int) -> list[Floats]:
        """For each sequence the hidden states (n_ends, d) at the last of its first `end` tokens, end >= 1."""
        read = cover(sequences)
        _check_size(max(sum(map(len, read.longest)), sum(map(len, ends))))
        try:
            hidden = self._read(f"hidden{layer}", read.longest, lambda rows: self._policy.hidden_states(rows, layer))
        except SvebError as error:  # a layer that the model has not
            raise RefusedError(str(error)) from None
        return [hidden[index][at - 1] for index, at in zip(read.index, ends, strict=True)]

    def text_lengths(self, sequences: Sequence[Sequence[Tokens]]) -> list[Ints]:
        """For each list of response prefixes the lengths in characters of their texts."""
        decode = self._codec.decode_many
        return [
            np.array([len(text) for text in decode([prefix.tolist() for prefix in prefixes])], dtype=np.int64)
            for prefixes in sequences
        ]

    def logprobs(self, sequences: Sequence[Tokens], starts: Sequence[int]) -> list[Floats]:
        """For each sequence the log-probabilities of its tokens from `start` on, start >= 1."""
        read = cover(sequences)
        _check_size(sum(map(len, read.longest)))
        found = self._read("logprobs", read.longest, lambda rows: self._policy.logprobs(rows))
        return [
            found[index][start - 1 : len(sequence) - 1]
            for index, sequence, start in zip(read.index, sequences, starts, strict=True)
        ]

    def confidences(self, sequences: Sequence[Tokens], starts: Sequence[int], k: int) -> list[Floats]:
        """For each sequence, from its first `start` tokens on, the next token's distribution: see `access`."""
        read = cover(sequences)
        _check_size(sum(map(len, read.longest)))
        # Only the transformers engine shows whole distributions, and it is the one that is loaded here.
        found = self._read(
            f"confidences{k}", read.longest, lambda rows: cast("TransformersPolicy", self._policy).confidences(rows, k)
        )
        return [
            found[index][start - 1 : len(sequence)]
            for index, sequence, start in zip(read.index, sequences, starts, strict=True)
        ]

    def answer_logprobs(self, prefixes: Sequence[Tokens], answers: Sequence[str]) -> list[Floats]:
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
