"""The estimator's side of the channel: every input is asked for here, so that the harness can meter it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError
from sveb.contract.estimator import Group, Problem, State, Values
from sveb.harness.wire import Array, Channel, Message

Floats = npt.NDArray[np.float32]

_SAMPLES_AT_ONCE = 1024
_TOKENS_AT_ONCE = 16_384  # whose hidden states travel in one message: bounds the memory of both sides


def _split(flat: Array, lengths: Array) -> list[Array]:
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []


def ask(channel: Channel, op: str, body: dict[str, Any] | None = None, arrays: Sequence[Array] = ()) -> Message:
    """One question to the harness and its answer; a refusal is raised where the question was asked."""
    with channel.lock:
        channel.send(op, body, arrays)
        reply = channel.receive()
    if reply.op == "refused":
        raise SvebError(reply.body["message"])
    return reply


class Problems(Sequence[Problem]):
    """The problems of one split, each fetched when it is reached and not kept."""

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
        prompt, tokens, lengths, step_index, own = reply.arrays
        states = [
            State(f"s{number:06d}", ids, text, len(ids), int(step), kind, int(place) if place >= 0 else None)
            for number, (ids, text, step, kind, place) in enumerate(
                zip(_split(tokens, lengths), reply.body["texts"], step_index, reply.body["kinds"], own, strict=True),
                start=reply.body["first_state"],
            )
        ]
        return Problem(
            id=f"{self._split}-{index:05d}",
            question=reply.body["question"],
            prompt_token_ids=prompt,
            states=states,
            seed=reply.body["seed"],
            fetch_group=partial(self._group, which),
            fetch_answer=partial(self._answer, which),
        )

    def _group(self, which: dict[str, Any]) -> Group:
        reply = ask(self._channel, "group", which)
        returns, tokens, lengths, ends, end_counts = reply.arrays
        return Group(returns, reply.body["texts"], _split(tokens, lengths), _split(ends, end_counts))

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
    split, _, index = problem.id.partition("-")
    return {"split": split, "index": int(index)}


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


@dataclass(frozen=True, eq=False)
class Continuation:
    """What was sampled after a state.

    `token_ids` (n,) are the sampled tokens, `text` the whole response's so far. A `finished` response has a `return_`
    in [0, 1], NaN if it could not be graded; an unfinished one has NaN. `after_step` is the state that the first step
    leads to, of kind "sampled": the policy can be asked about it as about any other, though not for its continuations.
    None where the response ended within that step.
    """

    token_ids: npt.NDArray[np.int32]
    text: str
    return_: float
    finished: bool
    after_step: State | None


class PolicyAccess:
    """What an estimator may ask of the policy. Every call is metered; states are those of the suite."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def hidden_states(self, states: Sequence[State], layer: int = -1) -> Floats:
        """The policy's hidden state at the last token of prompt + prefix: (n_states, d) float32.

        `layer` counts from 0 (the embeddings) to the number of layers, or from the end.
        """
        (hidden,) = ask(self._channel, "hidden_states", {"layer": int(layer)}, [_numbers(states)]).arrays
        return hidden

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[Floats]:
        """Hidden states along each rollout of `problem.group`, a list of (1 + n_step_ends, d) float32.

        Row 0 is the bare prompt, row j the j-th step's end: what `hidden_states` gives for a state cut there.
        """
        which = _which(problem) | {"layer": int(layer)}
        hidden, counts = ask(self._channel, "rollout_hidden_states", which).arrays
        return _split(hidden, counts)

    def token_hidden_states(self, states: Sequence[State], layer: int = -1) -> Iterator[Floats]:
        """For each state the hidden states at every token of prompt + prefix: (n_prompt_tokens + n_tokens, d) float32.

        They come a few at a time, so that a caller who keeps none needs little memory. A prefix of another state has
        that one's first rows: ask for the longest ones alone.
        """
        for chunk in _chunks([state.n_tokens for state in states]):
            asked = _numbers(states[chunk.start : chunk.stop])
            hidden, lengths = ask(self._channel, "token_hidden_states", {"layer": int(layer)}, [asked]).arrays
            yield from _split(hidden, lengths)

    def rollout_token_hidden_states(self, problem: Problem, layer: int = -1) -> Iterator[Floats]:
        """`token_hidden_states` of each rollout of `problem.group`: (n_prompt_tokens + n_tokens, d) float32."""
        for chunk in _chunks([len(tokens) for tokens in problem.group.token_ids]):
            which = _which(problem) | {"layer": int(layer), "first": chunk.start, "last": chunk.stop}
            hidden, lengths = ask(self._channel, "rollout_token_hidden_states", which).arrays
            yield from _split(hidden, lengths)

    def rollout_prefix_texts(self, problem: Problem) -> list[list[str]]:
        """For each rollout of `problem.group` its text up to the end of each step, the empty text first."""
        texts = problem.group.texts
        ends, counts = ask(self._channel, "rollout_text_ends", _which(problem)).arrays
        return [[text[:end] for end in row] for text, row in zip(texts, _split(ends, counts), strict=True)]

    def logprobs(self, states: Sequence[State]) -> list[Floats]:
        """Log-probability of each response token of each prefix, given all before it: arrays (n_tokens,)."""
        flat, lengths = ask(self._channel, "logprobs", {}, [_numbers(states)]).arrays
        return _split(flat, lengths)

    def confidences(self, states: Sequence[State], k: int = 20) -> list[Floats]:
        """How sure the policy was of each next token: an array (n_tokens + 1, 2) for each state.

        Row t is of the distribution after t response tokens, the last row that of the token which comes next. Columns:
        mean log-probability of the k likeliest tokens, and entropy in nats (information budget: `logprobs`).
        """
        flat, lengths = ask(self._channel, "confidences", {"k": int(k)}, [_numbers(states)]).arrays
        return _split(flat, lengths)

    def rollout_confidences(self, problem: Problem, k: int = 20) -> list[Floats]:
        """`confidences` of each rollout of `problem.group`: a list of (n_tokens + 1, 2)."""
        flat, lengths = ask(self._channel, "rollout_confidences", _which(problem) | {"k": int(k)}).arrays
        return _split(flat, lengths)

    def answer_logprobs(self, states: Sequence[State]) -> list[Floats]:
        """Log-probability of each token of the reference answer, were it given now: arrays (n_answer_tokens,).

        Given prompt, prefix and what announces an answer in this task (information budget: `logprobs`, `gold_answer`).
        """
        flat, lengths = ask(self._channel, "answer_logprobs", {}, [_numbers(states)]).arrays
        return _split(flat, lengths)

    def rollout_answer_logprobs(self, problem: Problem) -> list[Floats]:
        """`answer_logprobs` along each rollout of `problem.group`: a list of (1 + n_step_ends, n_answer_tokens).

        Row 0 is after the bare prompt, row j after the j-th step.
        """
        flat, counts = ask(self._channel, "rollout_answer_logprobs", _which(problem)).arrays
        return _split(flat, counts)

    def weights(self) -> str:
        """The folder of the policy's weights, for an estimator that trains a copy (budget: `hidden_states`).

        A confined estimator cannot open it.
        """
        return str(ask(self._channel, "weights", {"split": "train"}).body["folder"])

    def external_model(self, api_key_env: str | None = None) -> str | None:
        """Says that a model outside of the suite is about to be asked (budget: `external_model`).

        Gives the value of the harness's environment variable `api_key_env`, or None: the estimator's own process does
        not inherit it. A confined estimator is refused: it has no network and no files to ask one with.
        """
        key = ask(self._channel, "external_model", {"split": "train", "key_env": api_key_env}).body["key"]
        return None if key is None else str(key)

    def external_weights(self, model: str) -> str:
        """The folder of another model's weights, by hub id or folder (budget: `external_model`); refused likewise."""
        return str(ask(self._channel, "external_weights", {"split": "train", "model": model}).body["folder"])

    def sample(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        """n fresh continuations of each of the suite's states, sampled now, graded and charged at their tokens.

        At most 512 a state. The same question gets the same answer, and is charged again.
        """
        return self._sample(states, n, "end")

    def sample_steps(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        """n next steps of each of the suite's states: `sample`, but each stops at the end of its first step.

        At most 128 a state; none is longer than the task's longest step.
        """
        return self._sample(states, n, "step")

    def _sample(self, states: Sequence[State], n: int, until: str) -> list[list[Continuation]]:
        found: list[list[Continuation]] = []
        size = max(1, _SAMPLES_AT_ONCE // max(1, int(n)))
        for start in range(0, len(states), size):
            part = states[start : start + size]
            reply = ask(self._channel, "sample", {"n": int(n), "until": until}, [_numbers(part)])
            tokens, lengths, steps, returns, finished, numbers = reply.arrays
            rows = zip(
                _split(tokens, lengths), reply.body["texts"], returns, finished, steps, reply.body["step_texts"],
                numbers, [state for state in part for _ in range(int(n))], strict=True,
            )  # fmt: skip
            flat = [
                Continuation(ids, text, float(return_), bool(ended), _after(state, ids[:step], step_text, int(number)))
                for ids, text, return_, ended, step, step_text, number, state in rows
            ]
            found += [flat[i : i + int(n)] for i in range(0, len(flat), int(n))]
        return found

    def draws(self, states: Sequence[State], k: int) -> Values:
        """Returns (n_states, k) of k continuations of each state; NaN where one could not be graded.

        They come from the suite's pool, the same k at every call, and are charged at their tokens.
        """
        (returns,) = ask(self._channel, "draws", {"k": int(k)}, [_numbers(states)]).arrays
        return returns
