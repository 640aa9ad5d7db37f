"""The policy of this process, as an estimator sees it: for a trainer, whose rollouts are of no suite.

There is no channel and no wall: the estimator's code is trusted. Where the harness sells the draws of a suite, fresh
continuations are sampled here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.policy_access import PolicyAccess
from sveb.contract.problem import Continuation, Floats, Group, Problem, State, Tokens, Values
from sveb.estimators.shared.needed_states import unfinished_ends
from sveb.harness.forward_passes import Forward, step_prefixes, weights_of
from sveb.harness.live_sampling import MOST_AT_ONCE, Drawn, Live, Prefix
from sveb.harness.state_readings import Recent
from sveb.policies.transformers_engine import TransformersPolicy
from sveb.suite.manifest import Manifest
from sveb.suite.records import ProblemRecord


@dataclass(frozen=True, eq=False)
class Sampled:
    """One problem and the policy's graded rollouts of it. `prompt` (n_prompt_tokens,) are the prompt's token ids."""

    record: ProblemRecord
    prompt: Tokens
    group: Group

    @property
    def sequences(self) -> list[Tokens]:
        """Prompt and response of each rollout."""
        return [np.concatenate([self.prompt, tokens]) for tokens in self.group.token_ids]


@dataclass(frozen=True, eq=False)
class _View:
    """A problem as it is shown: `rows` are the rollouts of `sampled` in its group."""

    name: str
    sampled: Sampled
    rows: list[int]


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a state is: a prefix of rollout `row` of a problem; `number` counts all states, for the seeds."""

    view: _View
    row: int
    number: int


class LocalPolicy(PolicyAccess):
    """Access to `policy`, whose weights may change between two calls of `begin`. `n_states` counts all states shown.

    `manifest` names the task and the sampling; `scratch` is where `weights` writes a copy of the policy.
    """

    def __init__(self, policy: TransformersPolicy, manifest: Manifest, scratch: Path) -> None:
        self.forward = Forward(manifest, policy)
        self.live = Live(manifest, manifest.seed, lambda: 0, policy)
        self.n_states = 0
        self._policy, self._manifest, self._scratch = policy, manifest, scratch
        self._views: dict[str, _View] = {}
        self._places: dict[str, _Place] = {}
        self._led_to: dict[str, Tokens] = {}  # what sampling led to: prompt and response
        self._recent = Recent()

    def begin(self) -> None:
        """Forgets what was shown and read: the policy may have changed."""
        for known in (self._views, self._places, self._led_to, self._recent):
            known.clear()
        self.forward.begin_phase()

    def whole(self, name: str, sampled: Sampled) -> Problem:
        """A problem with all of its rollouts and no states, as `fit` gets it."""
        return self._problem(_View(name, sampled, list(range(len(sampled.group)))), [])

    def left_out(self, name: str, sampled: Sampled, row: int) -> tuple[Problem, list[State]]:
        """A problem whose group are the other rollouts, and the states of rollout `row`, the shortest first."""
        group = sampled.group
        view = _View(f"{name}-{row}", sampled, [i for i in range(len(group)) if i != row])
        ends = unfinished_ends(group, row)
        (lengths,) = self.forward.text_lengths([[group.token_ids[row][:end] for end in ends]])
        states = []
        for step, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
            kind = "path" if step else "root"
            text = group.texts[row][:length]
            states.append(State(f"{view.name}-{step}", group.token_ids[row][:end], text, end, step, kind))
            self._places[states[-1].id] = _Place(view, row, self.n_states)
            self.n_states += 1
        return self._problem(view, states), states

    def _problem(self, view: _View, states: list[State]) -> Problem:
        self._views[view.name] = view
        sampled, group = view.sampled, view.sampled.group.subset(view.rows)
        record, seed = sampled.record, self._manifest.seed * 2**32 + self.n_states
        return Problem(view.name, record.question, sampled.prompt, states, seed, lambda: group, lambda: record.answer)

    def _along(self, kind: str, view: _View, read: Callable[[list[Tokens], list[int]], list[Floats]]) -> list[Floats]:
        """What `read` gives for each rollout of the problem, those outside the shown group included."""
        sampled = view.sampled
        starts = [len(sampled.prompt)] * len(sampled.group)
        return self._recent.get((kind, id(sampled)), lambda: read(sampled.sequences, starts))

    def _about(
        self, kind: str, states: Sequence[State], read: Callable[[list[Tokens], list[int]], list[Floats]]
    ) -> list[tuple[Floats, int]]:
        """For each state what `read` gives for a sequence that starts with it, and the length of its prompt."""
        found = []
        for state in states:
            place = self._places[state.id]
            n_prompt = len(place.view.sampled.prompt)
            if (led_to := self._led_to.get(state.id)) is not None:
                found.append((read([led_to], [n_prompt])[0], n_prompt))
            else:
                found.append((self._along(kind, place.view, read)[place.row], n_prompt))
        return found

    def hidden_states(self, states: Sequence[State], layer: int = -1) -> Floats:
        return np.stack([hidden[-1] for hidden in self.token_hidden_states(states, layer)])

    def token_hidden_states(self, states: Sequence[State], layer: int = -1) -> Iterator[Floats]:
        found = self._about(f"hidden {layer}", states, lambda rows, _: self.forward.hidden(rows, layer))
        for state, (hidden, n_prompt) in zip(states, found, strict=True):
            yield hidden[: n_prompt + state.n_tokens]

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[Floats]:
        n_prompt = len(problem.prompt_token_ids)
        return [
            hidden[n_prompt - 1 + np.concatenate([[0], ends])]
            for hidden, ends in zip(
                self.rollout_token_hidden_states(problem, layer), problem.group.step_ends, strict=True
            )
        ]

    def rollout_token_hidden_states(self, problem: Problem, layer: int = -1) -> Iterator[Floats]:
        view = self._views[problem.id]
        along = self._along(f"hidden {layer}", view, lambda rows, _: self.forward.hidden(rows, layer))
        yield from (along[row] for row in view.rows)

    def rollout_prefix_texts(self, problem: Problem) -> list[list[str]]:
        group = problem.group
        lengths = self.forward.text_lengths(step_prefixes(group))
        return [[text[:end] for end in row] for text, row in zip(group.texts, lengths, strict=True)]

    def step_texts(self, states: Sequence[State]) -> list[list[str]]:
        ends = self.forward.step_text_ends([state.token_ids for state in states])
        return [
            [state.text[start:end] for start, end in pairwise([0, *row.tolist()])]
            for state, row in zip(states, ends, strict=True)
        ]

    def logprobs(self, states: Sequence[State]) -> list[Floats]:
        found = self._about("logprobs", states, self.forward.logprobs)
        return [values[: state.n_tokens] for state, (values, _) in zip(states, found, strict=True)]

    def confidences(self, states: Sequence[State], k: int = 20) -> list[Floats]:
        found = self._about(f"confidences {k}", states, lambda rows, starts: self.forward.confidences(rows, starts, k))
        return [values[: state.n_tokens + 1] for state, (values, _) in zip(states, found, strict=True)]

    def rollout_confidences(self, problem: Problem, k: int = 20) -> list[Floats]:
        view = self._views[problem.id]
        along = self._along(f"confidences {k}", view, lambda rows, starts: self.forward.confidences(rows, starts, k))
        return [along[row] for row in view.rows]

    def answer_logprobs(self, states: Sequence[State]) -> list[Floats]:
        sampled = [self._places[state.id].view.sampled for state in states]
        prefixes = [np.concatenate([each.prompt, state.token_ids]) for each, state in zip(sampled, states, strict=True)]
        return self.forward.answer_logprobs(prefixes, [each.record.answer for each in sampled])

    def rollout_answer_logprobs(self, problem: Problem) -> list[Floats]:
        found = []
        for rollout in step_prefixes(problem.group):
            prefixes = [np.concatenate([problem.prompt_token_ids, tokens]) for tokens in rollout]
            found.append(np.stack(self.forward.answer_logprobs(prefixes, [problem.answer] * len(prefixes))))
        return found

    def weights(self) -> str:
        """A copy of the policy as it is now: a folder that the next call replaces."""
        folder = self._scratch / "policy"
        self._policy.model.save_pretrained(folder)
        self._policy.codec.tokenizer.save_pretrained(folder)
        return str(folder)

    def external_model(self, api_key_env: str | None = None) -> str | None:
        return None if api_key_env is None else os.environ.get(api_key_env)

    def external_weights(self, model: str) -> str:
        return weights_of(model)

    def external_folder(self, path: str) -> str:
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise SvebError(f"there is no folder {path}")
        return str(folder.resolve())

    def vocabulary(self) -> tuple[str, list[str]]:
        return str(self._manifest.policy["name"]), self.forward.vocabulary()

    def sample(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        return self._sample(self.live.continuations, states, n)

    def sample_steps(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        return self._sample(self.live.steps, states, n)

    def draws(self, states: Sequence[State], k: int) -> Values:
        """Returns (n_states, k) of fresh continuations, as `sample` gives them: there is no pool."""
        return np.array([[one.return_ for one in row] for row in self.sample(states, k)]).reshape(len(states), k)

    def _sample(
        self, draw: Callable[[Sequence[Prefix], int], list[list[Drawn]]], states: Sequence[State], n: int
    ) -> list[list[Continuation]]:
        at_once = max(1, MOST_AT_ONCE // max(1, n))
        found: list[list[Continuation]] = []
        for start in range(0, len(states), at_once):
            part = states[start : start + at_once]
            places = [self._places[state.id] for state in part]
            prefixes = [
                Prefix(place.number, place.view.sampled.record, place.view.sampled.prompt, state.token_ids)
                for place, state in zip(places, part, strict=True)
            ]
            for state, place, row in zip(part, places, draw(prefixes, n), strict=True):
                found.append([self._continuation(state, place, one) for one in row])
        return found

    def _continuation(self, state: State, place: _Place, one: Drawn) -> Continuation:
        after = None
        if one.step:
            tokens = np.concatenate([state.token_ids, one.token_ids[: one.step]])
            name = f"sampled-{len(self._led_to)}"
            self._led_to[name] = np.concatenate([place.view.sampled.prompt, tokens])
            self._places[name] = place
            after = State(name, tokens, one.step_text, len(tokens), state.step_index + 1, "sampled")
        return_ = one.return_ if one.finished else float("nan")
        return Continuation(one.token_ids, one.text, return_, one.finished, after)
