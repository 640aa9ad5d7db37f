"""The estimator's side of the channel. Every input is asked for here, so that the harness can record it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, overload

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.policy_access import PolicyAccess
from sveb.contract.problem import Continuation, Floats, Group, Problem, State, Values
from sveb.harness.wire import Array, Channel, Message, split

_SAMPLES_AT_ONCE = 1024
_TOKENS_AT_ONCE = 16_384  # tokens whose hidden states are in one message: bounds the memory of both sides


def ask(channel: Channel, op: str, body: dict[str, Any] | None = None, arrays: Sequence[Array] = ()) -> Message:
    """Asks the harness one question and returns its answer. A refusal is raised here, as SvebError."""
    with channel.lock:
        channel.send(op, body, arrays)
        reply = channel.receive()
    if reply.op == "refused":
        raise SvebError(reply.body["message"])
    return reply


class Problems(Sequence[Problem]):
    """The problems of one split, without states. Each is fetched when it is asked for, and not kept."""

    def __init__(self, channel: Channel, split: str, count: int) -> None:
        self._channel = channel
        self._split = split
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> list[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | list[Problem]:
        if isinstance(index, slice):
            return [self._fetch(i) for i in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(f"problem {index} of {self._count}")
        return self._fetch(index % self._count)

    def __iter__(self) -> Iterator[Problem]:
        return map(self._fetch, range(self._count))

    def _fetch(self, index: int) -> Problem:
        which = {"split": self._split, "index": index}
        reply = ask(self._channel, "problem", which)
        return Problem(
            id=f"{self._split}-{index:05d}",
            question=reply.body["question"],
            prompt_token_ids=reply.arrays[0],
            states=[],
            seed=reply.body["seed"],
            fetch_group=partial(self._group, which),
            fetch_answer=partial(self._answer, which),
        )

    def next_sets(self, problems: Mapping[int, Problem]) -> dict[int, Problem]:
        """Test problems, by index, with the next set of their states; without those of which all have been shown.

        The harness shows a set only after it has got the values of the one before.
        """
        reply = ask(self._channel, "states", {"problems": list(problems)})
        tokens, lengths, steps, own, counts = reply.arrays
        states = [
            State(f"s{number:06d}", ids, text, len(ids), step, kind, place if place >= 0 else None)
            for number, (ids, text, step, kind, place) in enumerate(
                zip(
                    split(tokens, lengths), reply.body["texts"], steps.tolist(), reply.body["kinds"], own.tolist(),
                    strict=True,
                ),
                start=reply.body["first_state"],
            )
        ]  # fmt: skip
        ends = np.cumsum(counts).tolist()
        return {
            index: problem.with_states(states[end - count : end])
            for (index, problem), count, end in zip(problems.items(), counts.tolist(), ends, strict=True)
            if count
        }

    def _group(self, which: dict[str, Any]) -> Group:
        reply = ask(self._channel, "group", which)
        returns, tokens, lengths, ends, end_counts = reply.arrays
        return Group(returns, reply.body["texts"], split(tokens, lengths), split(ends, end_counts))

    def _answer(self, which: dict[str, Any]) -> str:
        return str(ask(self._channel, "answer", which).body["answer"])


def _numbers(states: Sequence[State]) -> Array:
    return np.array([int(state.id[1:]) for state in states], dtype=np.int64)


def _after(state: State, step: Array, text: str, number: int) -> State | None:
    if number < 0:
        return None
    tokens = np.concatenate([state.token_ids, step])
    return State(f"s{number:06d}", tokens, text, len(tokens), state.step_index + 1, "sampled")


def _which(problem: Problem) -> dict[str, Any]:
    name, _, index = problem.id.partition("-")
    return {"split": name, "index": int(index)}


def _chunks(lengths: Sequence[int]) -> Iterator[range]:
    """Consecutive ranges of at most `_TOKENS_AT_ONCE` tokens, at least one sequence each."""
    start = total = 0
    for place, length in enumerate(lengths):
        if place > start and total + length > _TOKENS_AT_ONCE:
            yield range(start, place)
            start, total = place, 0
        total += length
    if start < len(lengths):
        yield range(start, len(lengths))


class PolicyClient(PolicyAccess):
    """`PolicyAccess` over a channel: each call is one or more questions to the harness, which does the metering."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def hidden_states(self, states: Sequence[State], layer: int = -1) -> Floats:
        (hidden,) = ask(self._channel, "hidden_states", {"layer": int(layer)}, [_numbers(states)]).arrays
        return hidden

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[Floats]:
        which = _which(problem) | {"layer": int(layer)}
        hidden, counts = ask(self._channel, "rollout_hidden_states", which).arrays
        return split(hidden, counts)

    def token_hidden_states(self, states: Sequence[State], layer: int = -1) -> Iterator[Floats]:
        for chunk in _chunks([state.n_tokens for state in states]):
            asked = _numbers(states[chunk.start : chunk.stop])
            hidden, lengths = ask(self._channel, "token_hidden_states", {"layer": int(layer)}, [asked]).arrays
            yield from split(hidden, lengths)

    def rollout_token_hidden_states(self, problem: Problem, layer: int = -1) -> Iterator[Floats]:
        for chunk in _chunks([len(tokens) for tokens in problem.group.token_ids]):
            which = _which(problem) | {"layer": int(layer), "first": chunk.start, "last": chunk.stop}
            hidden, lengths = ask(self._channel, "rollout_token_hidden_states", which).arrays
            yield from split(hidden, lengths)

    def rollout_prefix_texts(self, problem: Problem) -> list[list[str]]:
        texts = problem.group.texts
        ends, counts = ask(self._channel, "rollout_text_ends", _which(problem)).arrays
        return [[text[:end] for end in row] for text, row in zip(texts, split(ends, counts), strict=True)]

    def step_texts(self, states: Sequence[State]) -> list[list[str]]:
        ends, counts = ask(self._channel, "step_text_ends", {}, [_numbers(states)]).arrays
        return [
            [state.text[start:end] for start, end in pairwise([0, *row.tolist()])]
            for state, row in zip(states, split(ends, counts), strict=True)
        ]

    def logprobs(self, states: Sequence[State]) -> list[Floats]:
        flat, lengths = ask(self._channel, "logprobs", {}, [_numbers(states)]).arrays
        return split(flat, lengths)

    def confidences(self, states: Sequence[State], k: int = 20) -> list[Floats]:
        flat, lengths = ask(self._channel, "confidences", {"k": int(k)}, [_numbers(states)]).arrays
        return split(flat, lengths)

    def rollout_confidences(self, problem: Problem, k: int = 20) -> list[Floats]:
        flat, lengths = ask(self._channel, "rollout_confidences", _which(problem) | {"k": int(k)}).arrays
        return split(flat, lengths)

    def answer_logprobs(self, states: Sequence[State]) -> list[Floats]:
        flat, lengths = ask(self._channel, "answer_logprobs", {}, [_numbers(states)]).arrays
        return split(flat, lengths)

    def rollout_answer_logprobs(self, problem: Problem) -> list[Floats]:
        flat, counts = ask(self._channel, "rollout_answer_logprobs", _which(problem)).arrays
        return split(flat, counts)

    def weights(self) -> str:
        return str(ask(self._channel, "weights", {"split": "train"}).body["folder"])

    def external_model(self, api_key_env: str | None = None) -> str | None:
        key = ask(self._channel, "external_model", {"split": "train", "key_env": api_key_env}).body["key"]
        return None if key is None else str(key)

    def external_weights(self, model: str) -> str:
        return str(ask(self._channel, "external_weights", {"split": "train", "model": model}).body["folder"])

    def external_folder(self, path: str) -> str:
        return str(ask(self._channel, "external_folder", {"split": "train", "path": path}).body["folder"])

    def vocabulary(self) -> tuple[str, list[str]]:
        reply = ask(self._channel, "vocabulary", {"split": "train"}).body
        return reply["policy"], reply["pieces"]

    def sample(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        return self._sample(states, n, "end")

    def sample_steps(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        return self._sample(states, n, "step")

    def _sample(self, states: Sequence[State], n: int, until: str) -> list[list[Continuation]]:
        found: list[list[Continuation]] = []
        size = max(1, _SAMPLES_AT_ONCE // max(1, int(n)))
        for start in range(0, len(states), size):
            part = states[start : start + size]
            reply = ask(self._channel, "sample", {"n": int(n), "until": until}, [_numbers(part)])
            tokens, lengths, steps, returns, finished, numbers = reply.arrays
            rows = zip(
                split(tokens, lengths), reply.body["texts"], returns, finished, steps, reply.body["step_texts"],
                numbers, [state for state in part for _ in range(int(n))], strict=True,
            )  # fmt: skip
            flat = [
                Continuation(ids, text, float(return_), bool(ended), _after(state, ids[:step], step_text, int(number)))
                for ids, text, return_, ended, step, step_text, number, state in rows
            ]
            found += [flat[i : i + int(n)] for i in range(0, len(flat), int(n))]
        return found

    def draws(self, states: Sequence[State], k: int) -> Values:
        (returns,) = ask(self._channel, "draws", {"k": int(k)}, [_numbers(states)]).arrays
        return returns
