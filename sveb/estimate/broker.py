"""Answers what an estimator asks for, and keeps the account: every input passes here or does not pass at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sveb.core.predictions import BUDGET_ITEMS
from sveb.core.suite import Suite
from sveb.estimate.forward import Forward, RefusedError
from sveb.estimate.inputs import Inputs
from sveb.estimate.wire import Array, Message, WireError, shortened

Reply = tuple[dict[str, Any], list[Array]]

_ROLLOUTS_ITEM = {"test": "group", "train": "train_returns"}


def _join(arrays: Sequence[Array], dtype: type[np.generic]) -> tuple[Array, Array]:
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    return (np.concatenate(arrays) if arrays else np.empty(0)).astype(dtype, copy=False), lengths


def _integer(question: Message, key: str) -> int:
    value = question.body.get(key)
    if type(value) is not int:
        raise WireError(f"{question.op}: {key} is {shortened(value)}, not an integer")
    return value


class Broker:
    """One run's account: `budget`, `tokens_sampled` and, in `forward`, tokens read."""

    def __init__(self, suite: Suite, inputs: Inputs) -> None:
        self.inputs = inputs
        self.forward = Forward(suite.manifest)
        self.tokens_sampled = 0
        self._asked: set[str] = set()
        self._bought = np.zeros(len(inputs.state_ids), dtype=np.int64)
        self._first_number = np.concatenate([[0], np.cumsum([len(rows) for rows in inputs.state_rows])])
        self._answers: dict[str, Callable[[Message], Reply]] = {
            "problem": self._problem,
            "group": self._group,
            "answer": self._answer,
            "draws": self._draws,
            "hidden_states": self._hidden_states,
            "rollout_hidden_states": self._rollout_hidden_states,
            "token_hidden_states": self._token_hidden_states,
            "rollout_token_hidden_states": self._rollout_token_hidden_states,
            "rollout_text_ends": self._rollout_text_ends,
            "weights": self._weights,
            "logprobs": self._logprobs,
            "confidences": self._confidences,
            "rollout_confidences": self._rollout_confidences,
            "answer_logprobs": self._answer_logprobs,
            "rollout_answer_logprobs": self._rollout_answer_logprobs,
        }

    @property
    def uncharged_s(self) -> float:
        """Seconds that were the harness's own, not the method's."""
        return self.forward.uncharged_s

    @property
    def budget(self) -> list[str]:
        """What was asked for so far, in the order of BUDGET_ITEMS."""
        return [item for item in BUDGET_ITEMS if item in self._asked]

    def answers(self, op: str) -> bool:
        """Whether `op` is a question for the broker."""
        return op in self._answers

    def answer(self, question: Message) -> Reply:
        """Body and arrays of the reply. Raises RefusedError for what there is not, WireError for nonsense."""
        return self._answers[question.op](question)

    def _which(self, question: Message) -> tuple[str, int]:
        split, index = question.body.get("split"), _integer(question, "index")
        if split not in ("test", "train") or not 0 <= index < len(self.inputs.problem_ids[split]):
            raise WireError(f"{question.op}: no problem {shortened(index)} of split {shortened(split)}")
        return split, index

    def _numbers(self, question: Message) -> Array:
        numbers = question.arrays[0] if len(question.arrays) == 1 else np.empty((0, 0))
        if numbers.ndim != 1 or numbers.dtype != np.int64:
            raise WireError(f"{question.op}: expected one array of states' numbers")
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self._bought):
            raise WireError(f"{question.op}: a state's number is out of range")
        if numbers.size > len(self._bought):  # none need be asked for twice in one question
            raise WireError(f"{question.op}: {numbers.size} states at once, the suite holds {len(self._bought)}")
        return numbers

    def _problem(self, question: Message) -> Reply:
        split, index = self._which(question)
        body: dict[str, Any] = {
            "question": self.inputs.question(split, index),
            "seed": self.inputs.problem_seed(split, index),
            "first_state": 0,
            "texts": [],
            "kinds": [],
        }
        tokens: list[Array] = []
        steps = own = np.empty(0, np.int32)
        if split == "test":
            tokens, body["texts"], steps, body["kinds"] = self.inputs.states_of(index)
            own = self.inputs.own_rollouts(index)
            body["first_state"] = int(self._first_number[index])
        return body, [self.inputs.prompt(split, index), *_join(tokens, np.int32), steps, own]

    def _group(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.add(_ROLLOUTS_ITEM[split])
        group = self.inputs.rollouts(split, index)
        return {"texts": group.texts}, [
            group.returns, *_join(group.token_ids, np.int32), *_join(group.step_ends, np.int32)
        ]  # fmt: skip

    def _answer(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.add("gold_answer")
        return {"answer": self.inputs.answer(split, index)}, []

    def _draws(self, question: Message) -> Reply:
        numbers, k = self._numbers(question), _integer(question, "k")
        rows = self.inputs.row_of_number[numbers]
        pools = [self.inputs.draws(row) for row in rows]
        smallest = min((len(pool) for pool, _ in pools), default=min(k, 2**31))
        if not 1 <= k <= smallest:
            raise RefusedError(f"{k} draws a state were asked for: expected 1 to {smallest}, the suite holds no more")
        self._asked.add("extra_rollouts")
        returns = np.empty((len(numbers), k))
        for place, (row, (pool, n_tokens)) in enumerate(zip(rows, pools, strict=True)):
            returns[place] = pool[:k]
            # The same draw is charged once, however often it is asked for.
            self.tokens_sampled += int(n_tokens[self._bought[row] : k].sum())
            self._bought[row] = max(self._bought[row], k)
        return {}, [returns]

    def _prompted(self, numbers: Array) -> tuple[list[Array], list[int]]:
        """Prompt + prefix of each state, and the prompt's length."""
        prompts = [self.inputs.prompt("test", index) for index in self.inputs.problem_of_number[numbers]]
        rows = self.inputs.row_of_number[numbers]
        tokens = [self.inputs.state_tokens(row) for row in rows]
        joined = [np.concatenate(pair) for pair in zip(prompts, tokens, strict=True)]
        return joined, [len(prompt) for prompt in prompts]

    def _hidden_states(self, question: Message) -> Reply:
        sequences, _ = self._prompted(self._numbers(question))
        self._asked.add("hidden_states")
        last = [np.array([len(sequence)]) for sequence in sequences]
        hidden = self.forward.hidden_at(sequences, last, _integer(question, "layer"))
        return {}, [np.concatenate(hidden) if hidden else np.empty((0, 0), np.float32)]

    def _rollout_hidden_states(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.update({_ROLLOUTS_ITEM[split], "hidden_states"})
        prompt, group = self.inputs.prompt(split, index), self.inputs.rollouts(split, index)
        sequences = [np.concatenate([prompt, tokens]) for tokens in group.token_ids]
        ends = [len(prompt) + np.concatenate([[0], steps]).astype(np.int64) for steps in group.step_ends]
        hidden = self.forward.hidden_at(sequences, ends, _integer(question, "layer"))
        flat = np.concatenate(hidden) if hidden else np.empty((0, 0), np.float32)
        return {}, [flat, np.array([len(rows) for rows in hidden], dtype=np.int64)]

    def _token_hidden_states(self, question: Message) -> Reply:
        sequences, _ = self._prompted(self._numbers(question))
        self._asked.add("hidden_states")
        return self._all_tokens(sequences, _integer(question, "layer"))

    def _rollout_token_hidden_states(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.update({_ROLLOUTS_ITEM[split], "hidden_states"})
        prompt, group = self.inputs.prompt(split, index), self.inputs.rollouts(split, index)
        first, last = _integer(question, "first"), _integer(question, "last")
        if not 0 <= first <= last <= len(group.token_ids):
            raise WireError(f"{question.op}: no rollouts {shortened(first)} to {shortened(last)}")
        sequences = [np.concatenate([prompt, tokens]) for tokens in group.token_ids[first:last]]
        return self._all_tokens(sequences, _integer(question, "layer"))

    def _all_tokens(self, sequences: list[Array], layer: int) -> Reply:
        ends = [np.arange(1, 1 + len(sequence)) for sequence in sequences]
        hidden = self.forward.hidden_at(sequences, ends, layer)
        flat = np.concatenate(hidden) if hidden else np.empty((0, 0), np.float32)
        return {}, [flat, np.array([len(rows) for rows in hidden], dtype=np.int64)]

    def _rollout_text_ends(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.add(_ROLLOUTS_ITEM[split])
        group = self.inputs.rollouts(split, index)
        prefixes = [
            [tokens[:end] for end in (0, *ends)] for tokens, ends in zip(group.token_ids, group.step_ends, strict=True)
        ]
        return {}, list(_join(self.forward.text_lengths(prefixes), np.int64))

    def _weights(self, question: Message) -> Reply:  # noqa: ARG002 - asked without saying more
        self._asked.add("hidden_states")
        return {"folder": self.forward.weights_folder()}, []

    def _logprobs(self, question: Message) -> Reply:
        sequences, starts = self._prompted(self._numbers(question))
        self._asked.add("logprobs")
        return {}, list(_join(self.forward.logprobs(sequences, starts), np.float32))

    def _confidences(self, question: Message) -> Reply:
        sequences, starts = self._prompted(self._numbers(question))
        self._asked.add("logprobs")
        return self._spread(sequences, starts, _integer(question, "k"))

    def _rollout_confidences(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.update({_ROLLOUTS_ITEM[split], "logprobs"})
        prompt, group = self.inputs.prompt(split, index), self.inputs.rollouts(split, index)
        sequences = [np.concatenate([prompt, tokens]) for tokens in group.token_ids]
        return self._spread(sequences, [len(prompt)] * len(sequences), _integer(question, "k"))

    def _spread(self, sequences: list[Array], starts: list[int], k: int) -> Reply:
        if k < 1:
            raise RefusedError(f"the {k} likeliest tokens were asked for: expected at least 1")
        found = self.forward.confidences(sequences, starts, min(k, 2**31 - 1))
        flat = np.concatenate(found) if found else np.empty((0, 2), np.float32)
        return {}, [flat, np.array([len(rows) for rows in found], dtype=np.int64)]

    def _answer_logprobs(self, question: Message) -> Reply:
        numbers = self._numbers(question)
        sequences, _ = self._prompted(numbers)
        self._asked.update({"logprobs", "gold_answer"})
        answers = [self.inputs.answer("test", index) for index in self.inputs.problem_of_number[numbers]]
        return {}, list(_join(self.forward.answer_logprobs(sequences, answers), np.float32))

    def _rollout_answer_logprobs(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.update({_ROLLOUTS_ITEM[split], "logprobs", "gold_answer"})
        prompt, group = self.inputs.prompt(split, index), self.inputs.rollouts(split, index)
        prefixes = [
            np.concatenate([prompt, tokens[:end]])
            for tokens, ends in zip(group.token_ids, group.step_ends, strict=True)
            for end in (0, *ends)
        ]
        found = self.forward.answer_logprobs(prefixes, [self.inputs.answer(split, index)] * len(prefixes))
        counts = np.array([1 + len(ends) for ends in group.step_ends], dtype=np.int64)
        return {}, [np.stack(found) if found else np.empty((0, 0), np.float32), counts]
