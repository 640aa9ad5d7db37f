"""Forward passes of the suite's policy for an estimator. Each token is read once, however many states share it.

Readings are kept on disk (`readings_cache`). A reading from there is charged with the seconds that it took to compute,
and its tokens are charged too: an estimator's cost does not depend on what the cache holds. A reading is charged once
in each phase (fit, predict), however often it is asked for: a problem's states are shown set by set, but read together.
"""

from __future__ import annotations

import hashlib
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

from sveb.common.cache_folder import cache_folder
from sveb.common.errors import SvebError
from sveb.common.prefix_cover import common_length, cover
from sveb.contract.problem import Floats, Group, Ints, Tokens
from sveb.harness.readings_cache import Readings
from sveb.suite.manifest import Manifest

if TYPE_CHECKING:
    from sveb.policies.codec import TextCodec
    from sveb.policies.policy import Policy
    from sveb.policies.transformers_engine import TransformersPolicy

_MOST_TOKENS = 2**19  # of one question: their hidden states stay in memory until they are sent
_ANSWERS_AT_ONCE = 64
# What stands between the marker and the answer, by the extractor.
_AFTER_MARKER = {"hashes": " ", "boxed": "{", "whole": ""}


class RefusedError(SvebError):
    """The estimator asked for something that cannot be had. It gets the message, as an error at its own call."""


def load_checked(manifest: Manifest, engine: str | None, max_model_len: int | None = None) -> Policy:
    """Loads the suite's policy. Raises SvebError if the weights found are not those that made the suite."""
    from sveb.policies.engines import load_policy

    wanted = manifest.policy
    policy = load_policy(wanted["source"], engine, max_model_len=max_model_len, revision=wanted.get("revision"))
    found = policy.fingerprint.get("sha256")
    if wanted.get("sha256") not in (None, found):
        policy.close()
        raise SvebError(
            f"the policy at {wanted['source']} is not the one that made the suite {manifest.name}: its weights have "
            f"sha256 {found}, the manifest says {wanted['sha256']}"
        )
    if engine == "transformers":
        from sveb.policies.transformers_engine import TransformersPolicy

        if isinstance(policy, TransformersPolicy):
            policy.frozen = True
    return policy


class Forward:
    """The suite's policy, loaded at first use, or `policy` instead, whose weights may change.

    `tokens_read` counts tokens. `uncharged_s` are seconds that the estimator does not pay for: loading the policy, and
    the time that the cache took minus the time that it saved. So an estimator pays as if each reading was computed.
    """

    def __init__(self, manifest: Manifest, policy: Policy | None = None) -> None:
        self._manifest = manifest
        if policy is not None:
            self._policy, self._codec = policy, policy.codec
        self._charged: set[bytes] = set()  # digests of what was charged
        self.tokens_read = 0
        self.uncharged_s = 0.0

    def close(self) -> None:
        """Ends the policy, if it was loaded."""
        if "_policy" in self.__dict__:
            self._policy.close()

    @cached_property
    def _policy(self) -> Policy:
        started = time.perf_counter()
        policy = load_checked(self._manifest, "transformers")
        self.uncharged_s += time.perf_counter() - started
        return policy

    @cached_property
    def _readings(self) -> Readings | None:
        """None if the manifest does not name its weights by digest: cached readings could be those of other weights."""
        weights = self._manifest.policy.get("sha256")
        if weights is None:
            return None
        # What decides numerics and speed. Found without importing the engine, which takes seconds.
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
        """What `compute` gives for these sequences, from the cache where possible."""
        began, before = time.perf_counter(), self.uncharged_s
        keys = [hashlib.sha256(kind.encode() + np.asarray(each, dtype="<i4").tobytes()).digest() for each in sequences]
        kept = [None if self._readings is None else self._readings.get(kind, sequence) for sequence in sequences]
        missing = [sequence for sequence, one in zip(sequences, kept, strict=True) if one is None]
        share = 0.0  # seconds a computed token
        if missing:
            _ = self._policy
            started = time.perf_counter()
            fresh = iter(compute(missing))
            share = (time.perf_counter() - started) / max(1, sum(map(len, missing)))
        found, charged = [], 0.0
        for key, sequence, one in zip(keys, sequences, kept, strict=True):
            array, seconds = (next(fresh), share * len(sequence)) if one is None else one
            if one is None and self._readings is not None:
                self._readings.put(kind, sequence, array, seconds)
            if key not in self._charged:
                self._charged.add(key)
                self.tokens_read += len(sequence)
                charged += seconds
            found.append(array)
        self.uncharged_s = before + time.perf_counter() - began - charged
        return found

    def begin_phase(self) -> None:
        """From here on each reading is charged anew: what training read does not make predicting cheaper."""
        self._charged.clear()

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
        wanted = self._manifest.policy
        return weights_of(wanted["source"], wanted.get("revision"))

    def hidden(self, sequences: Sequence[Tokens], layer: int) -> list[Floats]:
        """For each sequence the hidden states (n_tokens, d) of its tokens. Sequences that share tokens share arrays."""
        read = cover(sequences)
        check_size(sum(map(len, read.longest)))
        try:
            hidden = self._read(f"hidden{layer}", read.longest, lambda rows: self._policy.hidden_states(rows, layer))
        except SvebError as error:  # a layer that the model does not have
            raise RefusedError(str(error)) from None
        return [hidden[index][: len(sequence)] for index, sequence in zip(read.index, sequences, strict=True)]

    def hidden_at(self, sequences: Sequence[Tokens], ends: Sequence[Ints], layer: int) -> list[Floats]:
        """For each sequence the hidden states (n_ends, d) at the last of its first `end` tokens, end >= 1."""
        check_size(sum(map(len, ends)))
        return [each[at - 1] for each, at in zip(self.hidden(sequences, layer), ends, strict=True)]

    def text_lengths(self, sequences: Sequence[Sequence[Tokens]]) -> list[Ints]:
        """For each list of response prefixes the lengths in characters of their texts."""
        decode = self._codec.decode_many
        return [
            np.array([len(text) for text in decode([prefix.tolist() for prefix in prefixes])], dtype=np.int64)
            for prefixes in sequences
        ]

    def vocabulary(self) -> list[str]:
        """The piece of text of each of the policy's token ids; "" for ids without one."""
        known = self._codec.tokenizer.get_vocab()
        pieces = [""] * (1 + max(known.values()))
        for piece, index in known.items():
            pieces[index] = piece
        return pieces

    def step_text_ends(self, responses: Sequence[Tokens]) -> list[Ints]:
        """For each response prefix the positions in its text at which its steps end; the last one is the text's end."""
        from sveb.tasks.task import Task

        task, found = Task.load(self._manifest.task["name"]), []
        for tokens in responses:
            pieces = self._codec.pieces(tokens.tolist())
            after = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
            ends = {int(after[end - 1]) for end in task.step_ends(pieces)} | ({int(after[-1])} if pieces else set())
            found.append(np.array(sorted(ends - {0}), dtype=np.int64))
        return found

    def logprobs(self, sequences: Sequence[Tokens], starts: Sequence[int]) -> list[Floats]:
        """For each sequence the log-probabilities of its tokens from `start` on, start >= 1."""
        read = cover(sequences)
        check_size(sum(map(len, read.longest)))
        found = self._read("logprobs", read.longest, lambda rows: self._policy.logprobs(rows))
        return [
            found[index][start - 1 : len(sequence) - 1]
            for index, sequence, start in zip(read.index, sequences, starts, strict=True)
        ]

    def confidences(self, sequences: Sequence[Tokens], starts: Sequence[int], k: int) -> list[Floats]:
        """For each sequence, after its first `start` tokens and each later one: see `PolicyAccess.confidences`."""
        read = cover(sequences)
        check_size(sum(map(len, read.longest)))
        # Only the transformers engine gives whole distributions, and that engine is loaded here.
        found = self._read(
            f"confidences{k}", read.longest, lambda rows: cast("TransformersPolicy", self._policy).confidences(rows, k)
        )
        return [
            found[index][start - 1 : len(sequence)]
            for index, sequence, start in zip(read.index, sequences, starts, strict=True)
        ]

    def answer_logprobs(self, prefixes: Sequence[Tokens], answers: Sequence[str]) -> list[Floats]:
        """For each prefix (prompt and response so far) the log-probabilities of an answer's tokens, if it came next."""
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
        cue = task.answer.get("marker", "") + _AFTER_MARKER[task.answer["extract"]]
        tokenizer = self._codec.tokenizer
        alone: list[int] = tokenizer(cue, add_special_tokens=False)["input_ids"]
        whole: list[int] = tokenizer(cue + answer, add_special_tokens=False)["input_ids"]
        # A token may span the end of the cue and the start of the answer: it counts as the answer's.
        same = common_length([alone, whole])
        if same >= len(whole):
            raise RefusedError(f"the policy's tokenizer gives no tokens for the reference answer {answer!r}")
        return whole[:same], whole[same:]


def weights_of(model: str, revision: str | None = None) -> str:
    """The folder of the weights of a model that `find_model` finds."""
    from sveb.policies.models import fetch_weights, find_model

    return str(fetch_weights(find_model(model).source, revision).folder.resolve())


def step_prefixes(group: Group) -> list[list[Tokens]]:
    """For each rollout its tokens up to the end of the prompt (none) and of every step."""
    return [[tokens[:end] for end in (0, *ends)] for tokens, ends in zip(group.token_ids, group.step_ends, strict=True)]


def readable(sequences: Sequence[Tokens]) -> bool:
    """Whether so many tokens are read at once."""
    return sum(map(len, sequences)) <= _MOST_TOKENS


def check_size(tokens: int) -> None:
    """Raises RefusedError if so many tokens are more than are read, or answered, at once."""
    if tokens > _MOST_TOKENS:
        raise RefusedError(
            f"{tokens} tokens at once, at most {_MOST_TOKENS} are read: ask for fewer states in one call"
        )
