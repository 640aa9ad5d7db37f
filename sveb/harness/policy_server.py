"""Answers what an estimator asks for, and records it. There is no other way to an input."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError, named
from sveb.contract.problem import Floats, Group
from sveb.harness.forward_passes import Forward, RefusedError, check_size, step_prefixes, weights_of
from sveb.harness.live_sampling import Live, Prefix
from sveb.harness.shown_states import ShownStates
from sveb.harness.state_readings import KnownState, Read, Recent, StateReadings
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import Array, Message, Reply, WireError, harmless, join
from sveb.runs.predictions import BUDGET_ITEMS
from sveb.suite.suite import Suite

_ROLLOUTS_ITEM = {"test": "group", "train": "train_returns"}
_MOST_SAMPLED_STATES = 2**16  # sampled states whose tokens are kept, so that the policy can read them


def _integer(question: Message, key: str) -> int:
    value = question.body.get(key)
    if type(value) is not int:
        raise WireError(f"{question.op}: {key} is {harmless(value)}, not an integer")
    return value


class Broker:
    """Answers the questions of one run and keeps its account: `budget`, `tokens_sampled` and `forward.tokens_read`.

    States are numbered: first those of the suite, in the order in which they are shown, then those that sampling led
    to. Only the last of these are kept. Nothing is sold for a state of the suite that has not been shown yet.
    """

    def __init__(
        self, suite: Suite, inputs: Inputs, *, confined: bool = False, shown: Mapping[str, str] | None = None
    ) -> None:
        """`shown`: the user's folders that the sandbox shows, and where."""
        self.inputs = inputs
        self._policy_name: str = suite.manifest.policy["name"]
        self.forward = Forward(suite.manifest)
        self.live = Live(suite.manifest, inputs.seed, lambda: inputs.longest_prompt)
        self._confined = confined
        self._shown = shown or {}
        self._drawn_tokens = 0
        self._sampled: deque[KnownState] = deque(maxlen=_MOST_SAMPLED_STATES)
        self._sampled_ever = 0
        self._asked: set[str] = set()
        self._bought = np.zeros(len(inputs.state_ids), dtype=np.int64)
        self.shown = ShownStates(inputs.state_sets)
        self._recent = Recent()
        self._readings = StateReadings(inputs, self._recent)
        self._answers: dict[str, Callable[[Message], Reply]] = {
            "problem": self._problem,
            "states": self._states,
            "group": self._group,
            "answer": self._answer,
            "draws": self._draws,
            "sample": self._sample,
            "external_model": self._external_model,
            "external_weights": self._external_weights,
            "external_folder": self._external_folder,
            "vocabulary": self._vocabulary,
            "hidden_states": self._hidden_states,
            "rollout_hidden_states": self._rollout_hidden_states,
            "token_hidden_states": self._token_hidden_states,
            "rollout_token_hidden_states": self._rollout_token_hidden_states,
            "rollout_text_ends": self._rollout_text_ends,
            "step_text_ends": self._step_text_ends,
            "weights": self._weights,
            "logprobs": self._logprobs,
            "confidences": self._confidences,
            "rollout_confidences": self._rollout_confidences,
            "answer_logprobs": self._answer_logprobs,
            "rollout_answer_logprobs": self._rollout_answer_logprobs,
        }

    @property
    def uncharged_s(self) -> float:
        """Seconds that the harness took for itself and the method is not charged for."""
        return self.forward.uncharged_s + self.live.load_s

    @property
    def tokens_sampled(self) -> int:
        """Tokens of all continuations that were handed out, from the suite's pool or sampled live."""
        return self._drawn_tokens + self.live.tokens_sampled

    def begin_phase(self) -> None:
        """From here on each reading is charged anew: what training read does not make predicting cheaper."""
        self.forward.begin_phase()
        self._recent.clear()

    def close(self) -> None:
        """Ends the engines and graders, if any were started."""
        self.live.close()
        self.forward.close()

    @property
    def budget(self) -> list[str]:
        """The inputs asked for so far, in the order of BUDGET_ITEMS."""
        return [item for item in BUDGET_ITEMS if item in self._asked]

    def answers(self, op: str) -> bool:
        """Whether `op` is a question that the broker answers."""
        return op in self._answers

    def answer(self, question: Message) -> Reply:
        """Body and arrays of the reply.

        Raises RefusedError for what cannot be had, WireError for a malformed question, SvebError if the policy fails.
        """
        try:
            return self._answers[question.op](question)
        except RuntimeError as error:  # from torch, such as a GPU out of memory
            raise SvebError(f"the policy failed when asked for {question.op} ({named(error)})") from error

    def _which(self, question: Message) -> tuple[str, int]:
        split, index = question.body.get("split"), _integer(question, "index")
        if split not in ("test", "train") or not 0 <= index < len(self.inputs.problem_ids[split]):
            raise WireError(f"{question.op}: no problem {harmless(index)} of split {harmless(split)}")
        return split, index

    def _numbers(self, question: Message) -> Array:
        """The states of a question: the suite's, or those that sampling led to."""
        numbers = question.arrays[0] if len(question.arrays) == 1 else np.empty((0, 0))
        if numbers.ndim != 1 or numbers.dtype != np.int64:
            raise WireError(f"{question.op}: expected one array of states' numbers")
        known = len(self._bought) + self._sampled_ever
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < known:
            raise WireError(f"{question.op}: a state's number is out of range")
        if numbers.size > known:  # no state needs to be in one question twice
            raise WireError(f"{question.op}: {numbers.size} states at once, there are {known}")
        unseen = numbers[(numbers >= len(self.shown.row_of_number)) & (numbers < len(self._bought))]
        if unseen.size:
            raise RefusedError(
                f"the state s{unseen[0]:06d} has not been shown yet: ask only about states that predict has been given"
            )
        sampled = numbers[numbers >= len(self._bought)]
        if sampled.size and sampled.min() < known - len(self._sampled):
            raise RefusedError(
                f"a state that was sampled {known - int(sampled.min())} states ago: only the last {len(self._sampled)} "
                "are kept, so ask about it sooner"
            )
        return numbers

    def _own_numbers(self, question: Message) -> Array:
        """States of the suite."""
        numbers = self._numbers(question)
        if numbers.size and numbers.max() >= len(self._bought):
            raise RefusedError("only the suite's states can be continued, not those that sampling led to")
        return numbers

    def _state(self, number: int) -> KnownState:
        if number >= len(self._bought):
            return self._sampled[number - len(self._bought) - (self._sampled_ever - len(self._sampled))]
        row = self.shown.row_of_number[number]
        return KnownState(self.shown.problem_of_number[number], self.inputs.state_tokens(row), row)

    def _problem(self, question: Message) -> Reply:
        split, index = self._which(question)
        body = {"question": self.inputs.question(split, index), "seed": self.inputs.problem_seed(split, index)}
        return body, [self.inputs.prompt(split, index)]

    def _states(self, question: Message) -> Reply:
        """The next sets of some test problems, one after the other; an empty one of a problem that has no more."""
        first = len(self.shown.row_of_number)
        problems = listed_problems(question)
        sets = [self.shown.show(index) for index in problems]
        tokens, texts, steps, kinds = self.inputs.states(np.concatenate(sets))
        own = [self.inputs.own_rollouts(index, rows) for index, rows in zip(problems, sets, strict=True)]
        body = {"first_state": first, "texts": texts, "kinds": kinds}
        return body, [*join(tokens, np.int32), steps, *join(own, np.int32)]

    def _group(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.add(_ROLLOUTS_ITEM[split])
        group = self.inputs.rollouts(split, index)
        return {"texts": group.texts}, [
            group.returns, *join(group.token_ids, np.int32), *join(group.step_ends, np.int32)
        ]  # fmt: skip

    def _answer(self, question: Message) -> Reply:
        split, index = self._which(question)
        self._asked.add("gold_answer")
        return {"answer": self.inputs.answer(split, index)}, []

    def _draws(self, question: Message) -> Reply:
        numbers, k = self._own_numbers(question), _integer(question, "k")
        rows = [self.shown.row_of_number[number] for number in numbers]
        pools = [self.inputs.draws(row) for row in rows]
        smallest = min((len(pool) for pool, _ in pools), default=min(k, 2**31))
        if not 1 <= k <= smallest:
            raise RefusedError(
                f"{k} draws per state were asked for: expected 1 to {smallest}, which is all that the suite has"
            )
        self._asked.add("extra_rollouts")
        returns = np.empty((len(numbers), k))
        for place, (row, (pool, n_tokens)) in enumerate(zip(rows, pools, strict=True)):
            returns[place] = pool[:k]
            # A draw is charged once, however often it is asked for.
            self._drawn_tokens += int(n_tokens[self._bought[row] : k].sum())
            self._bought[row] = max(self._bought[row], k)
        return {}, [returns]

    def _sample(self, question: Message) -> Reply:
        numbers, n = self._own_numbers(question), _integer(question, "n")
        prefixes = []
        for number in numbers:
            state = self._state(number)
            record, prompt = self.inputs.record("test", state.problem), self.inputs.prompt("test", state.problem)
            prefixes.append(Prefix(state.row, record, prompt, state.token_ids))
        sample = self.live.steps if question.body.get("until") == "step" else self.live.continuations
        drawn = sample(prefixes, n)
        self._asked.add("extra_rollouts")
        led_to = np.full((len(numbers), n), -1, dtype=np.int64)
        for place, (number, prefix) in enumerate(zip(numbers, prefixes, strict=True)):
            for index, one in enumerate(drawn[place]):
                if one.step:
                    led_to[place, index] = len(self._bought) + self._sampled_ever
                    tokens = np.concatenate([prefix.token_ids, one.token_ids[: one.step]])
                    self._sampled.append(KnownState(self.shown.problem_of_number[number], tokens))
                    self._sampled_ever += 1
        flat = [one for row in drawn for one in row]
        texts = {"texts": [one.text for one in flat], "step_texts": [one.step_text for one in flat]}
        tokens, lengths = join([one.token_ids for one in flat], np.int32)
        steps = np.array([one.step for one in flat], dtype=np.int64)
        returns = np.array([one.return_ if one.finished else np.nan for one in flat], dtype=np.float64)
        finished = np.array([one.finished for one in flat], dtype=np.int32)
        return texts, [tokens, lengths, steps, returns, finished, led_to.ravel()]

    def _external_model(self, question: Message) -> Reply:
        self._ask_outside()
        name = question.body.get("key_env")
        return {"key": os.environ.get(name) if isinstance(name, str) else None}, []

    def _external_weights(self, question: Message) -> Reply:
        self._ask_outside()
        return {"folder": weights_of(str(question.body.get("model")))}, []

    def _external_folder(self, question: Message) -> Reply:
        path = str(question.body.get("path"))
        if self._confined and path in self._shown:
            self._asked.add("external_model")
            return {"folder": self._shown[path]}, []
        self._ask_outside()
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise RefusedError(f"there is no folder {path}")
        return {"folder": str(folder.resolve())}, []

    def _vocabulary(self, question: Message) -> Reply:  # noqa: ARG002 - the question has no content
        return {"policy": self._policy_name, "pieces": self.forward.vocabulary()}, []

    def _ask_outside(self) -> None:
        if self._confined:
            raise RefusedError(
                "the estimator asks a model outside of the suite, but the sandbox has no network and none of this "
                "machine's files: run it with --no-sandbox if you trust it"
            )
        self._asked.add("external_model")

    def _about(self, question: Message, kind: Hashable, read: Read) -> list[Floats]:
        """What `read` gives for each of the question's states."""
        return self._readings.of(kind, [self._state(number) for number in self._numbers(question)], read)

    def _hidden_states(self, question: Message) -> Reply:
        hidden = [each[-1:] for each in self._hidden(question)]
        return {}, [np.concatenate(hidden) if hidden else np.empty((0, 0), np.float32)]

    def _token_hidden_states(self, question: Message) -> Reply:
        hidden = self._hidden(question)
        check_size(sum(map(len, hidden)))
        return {}, join(hidden, np.float32, width=0)

    def _hidden(self, question: Message) -> list[Floats]:
        layer = _integer(question, "layer")
        found = self._about(question, ("hidden", layer), lambda rows, *_: self.forward.hidden(rows, layer))
        self._asked.add("hidden_states")
        return found

    def _logprobs(self, question: Message) -> Reply:
        found = self._about(question, "logprobs", lambda rows, starts, _: self.forward.logprobs(rows, starts))
        self._asked.add("logprobs")
        return {}, join(found, np.float32)

    def _confidences(self, question: Message) -> Reply:
        k = _integer(question, "k")
        found = self._about(question, ("confidences", k), lambda rows, starts, _: self._spreads(rows, starts, k))
        self._asked.add("logprobs")
        return {}, join(found, np.float32, width=2)

    def _answer_logprobs(self, question: Message) -> Reply:
        def read(rows: list[Array], _: list[int], problems: list[int]) -> list[Floats]:
            return self.forward.answer_logprobs(rows, [self.inputs.answer("test", index) for index in problems])

        found = self._about(question, "answer_logprobs", read)
        self._asked.update({"logprobs", "gold_answer"})
        return {}, join(found, np.float32)

    def _rollouts(self, question: Message, *budget: str) -> tuple[tuple[Hashable, ...], Array, Group, list[Array]]:
        """What the question is about: its name and problem, the prompt, the rollouts, and prompt + response of each."""
        split, index = self._which(question)
        self._asked.update({_ROLLOUTS_ITEM[split], *budget})
        prompt, group = self.inputs.prompt(split, index), self.inputs.rollouts(split, index)
        return (question.op, split, index), prompt, group, [np.concatenate([prompt, each]) for each in group.token_ids]

    def _rollout_hidden_states(self, question: Message) -> Reply:
        about, prompt, group, sequences = self._rollouts(question, "hidden_states")
        layer = _integer(question, "layer")
        ends = [len(prompt) + np.concatenate([[0], steps]).astype(np.int64) for steps in group.step_ends]
        return {}, self._recent.get(
            (*about, layer), lambda: join(self.forward.hidden_at(sequences, ends, layer), np.float32, width=0)
        )

    def _rollout_token_hidden_states(self, question: Message) -> Reply:
        about, _, _, sequences = self._rollouts(question, "hidden_states")
        layer, first, last = (_integer(question, name) for name in ("layer", "first", "last"))
        if not 0 <= first <= last <= len(sequences):
            raise WireError(f"{question.op}: no rollouts {harmless(first)} to {harmless(last)}")
        return {}, self._recent.get(
            (*about, layer, first, last),
            lambda: join(self.forward.hidden(sequences[first:last], layer), np.float32, width=0),
        )

    def _rollout_text_ends(self, question: Message) -> Reply:
        _, _, group, _ = self._rollouts(question)
        return {}, join(self.forward.text_lengths(step_prefixes(group)), np.int64)

    def _step_text_ends(self, question: Message) -> Reply:
        states = [self._state(number) for number in self._numbers(question)]
        return {}, join(self.forward.step_text_ends([state.token_ids for state in states]), np.int64)

    def _weights(self, question: Message) -> Reply:  # noqa: ARG002 - the question has no content
        self._asked.add("hidden_states")
        return {"folder": self.forward.weights_folder()}, []

    def _rollout_confidences(self, question: Message) -> Reply:
        about, prompt, _, sequences = self._rollouts(question, "logprobs")
        k, starts = _integer(question, "k"), [len(prompt)] * len(sequences)
        return {}, self._recent.get((*about, k), lambda: join(self._spreads(sequences, starts, k), np.float32, width=2))

    def _spreads(self, sequences: list[Array], starts: list[int], k: int) -> list[Floats]:
        if k < 1:
            raise RefusedError(f"the {k} most likely tokens were asked for: expected at least 1")
        return self.forward.confidences(sequences, starts, min(k, 2**31 - 1))

    def _rollout_answer_logprobs(self, question: Message) -> Reply:
        about, prompt, group, _ = self._rollouts(question, "logprobs", "gold_answer")
        split, index = self._which(question)
        prefixes = [np.concatenate([prompt, tokens]) for rollout in step_prefixes(group) for tokens in rollout]
        answers = [self.inputs.answer(split, index)] * len(prefixes)
        counts = np.array([1 + len(ends) for ends in group.step_ends], dtype=np.int64)

        def read() -> list[Array]:
            found = self.forward.answer_logprobs(prefixes, answers)
            return [np.stack(found) if found else np.empty((0, 0), np.float32), counts]

        return {}, self._recent.get(about, read)


def listed_problems(message: Message) -> list[int]:
    """The test problems that a message is about, by their places in the shuffled order: any integers."""
    found = message.body.get("problems")
    if not isinstance(found, list) or not found or not all(type(each) is int for each in found):
        raise WireError(f"{message.op}: expected a list of problems, found {harmless(found)}")
    return found
