"""Fresh continuations of the suite's states, sampled from its policy and graded in the harness's process.

Each has an engine seed of its own (`sveb.common.seeds`). Its number is in the upper half of the suite's 2^32 numbers;
the suite's own continuations fill the lower half from below. So nothing sampled here is part of the truth. The number
is an offset of the run, then 1024 numbers per state: 512 whole continuations, then 128 next steps of four rounds each.
The same question gets the same answer; it is sampled and charged each time.

A next step is sampled in rounds of a quarter of the task's longest step, so that few tokens are sampled beyond its end.
All sampled tokens are charged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sveb.common.seeds import SPACE, rng, seeds
from sveb.contract.problem import Tokens
from sveb.harness.forward_passes import RefusedError, load_checked
from sveb.suite.manifest import Manifest
from sveb.suite.protocol import Protocol, find_protocol
from sveb.suite.records import FinishReason, ProblemRecord

if TYPE_CHECKING:
    from sveb.policies.policy import Completion, Policy, SampleRequest, Sampling
    from sveb.tasks.grading import Grading
    from sveb.tasks.task import Task

MOST_CONTINUATIONS = 512  # of one state
MOST_STEPS = 128
MOST_AT_ONCE = 4096  # in one question: bounds the memory, and the cost before a run can be stopped
_ROUNDS = 4
_PER_STATE = MOST_CONTINUATIONS + _ROUNDS * MOST_STEPS


@dataclass(frozen=True)
class Prefix:
    """A state to continue: `row` is its row in states.parquet."""

    row: int
    problem: ProblemRecord
    prompt: Tokens
    token_ids: Tokens


@dataclass(frozen=True)
class Drawn:
    """What was sampled after a state: `text` is the whole response so far.

    A `finished` response has a return, NaN if it could not be graded. `step` is the number of tokens of the first step,
    0 if the response ended within it; `step_text` is the response up to there.
    """

    token_ids: Tokens
    text: str
    return_: float
    finished: bool
    step: int
    step_text: str


class Live:
    """The engine, started at first use, or `policy` instead.

    `tokens_sampled` counts tokens; `load_s` is the start time in seconds. `longest_prompt` gives the tokens of the
    longest prompt, for which the engine is started.
    """

    def __init__(
        self, manifest: Manifest, seed: int, longest_prompt: Callable[[], int], policy: Policy | None = None
    ) -> None:
        self._manifest = manifest
        self._longest_prompt = longest_prompt
        if policy is not None:
            self._policy = policy
        self._offset = int(rng(seed, "live").integers(SPACE // 2))
        self._open = ExitStack()
        self.tokens_sampled = 0
        self.load_s = 0.0

    def continuations(self, prefixes: Sequence[Prefix], n: int) -> list[list[Drawn]]:
        """n whole continuations of each prefix, with the same token budget as the suite's own continuations."""
        _check("continuations", n, MOST_CONTINUATIONS, len(prefixes))
        requests = [
            self._request((place, index), prefix, (), index, self._left(prefix))
            for place, prefix in enumerate(prefixes)
            for index in range(n)
        ]
        found = self._sample(requests)
        return self._drawn(
            prefixes, n, {key: (one.token_ids.tolist(), one.finish_reason) for key, one in found.items()}
        )

    def steps(self, prefixes: Sequence[Prefix], n: int) -> list[list[Drawn]]:
        """n next steps of each prefix. Each ends with its step, at the task's longest step, or with the response."""
        _check("next steps", n, MOST_STEPS, len(prefixes))
        longest = int(self._task.steps["max_tokens"])
        length = -(-longest // _ROUNDS)
        so_far: dict[tuple[int, int], list[int]] = {(p, i): [] for p in range(len(prefixes)) for i in range(n)}
        ends: dict[tuple[int, int], tuple[list[int], FinishReason | None]] = {}
        for number in range(_ROUNDS):
            requests = []
            for (place, index), tokens in so_far.items():
                prefix = prefixes[place]
                budget = min(length, longest - len(tokens), self._left(prefix) - len(tokens))
                slot = MOST_CONTINUATIONS + _ROUNDS * index + number
                requests.append(self._request((place, index), prefix, tokens, slot, budget))
            for key, one in self._sample(requests).items():
                tokens = so_far[key] + one.token_ids.tolist()
                full = len(tokens) >= longest
                spent = len(tokens) >= self._left(prefixes[key[0]])
                reason: FinishReason | None = one.finish_reason if one.finish_reason == "stop" or spent else None
                end = self._first_end(tokens)
                # At the last sampled token the end of a step is not certain yet: the next token may belong to it.
                if reason is not None or full or 0 < end < len(tokens):
                    cut = end if 0 < end < len(tokens) else len(tokens)
                    ends[key] = (tokens[:cut], reason if cut == len(tokens) else None)
                    del so_far[key]
                else:
                    so_far[key] = tokens
        return self._drawn(prefixes, n, ends)

    def close(self) -> None:
        """Ends the engine and the graders."""
        self._open.close()

    def _left(self, prefix: Prefix) -> int:
        return self._protocol.continuation_budget(self._sampling.max_new_tokens, len(prefix.token_ids))

    def _first_end(self, tokens: list[int]) -> int:
        """Tokens of the first step that ends here, or 0."""
        found = self._task.step_ends(self._policy.codec.pieces(tokens))
        return found[0] if found else 0

    def _request(
        self, key: tuple[int, int], prefix: Prefix, more: Sequence[int], slot: int, budget: int
    ) -> SampleRequest:
        from sveb.policies.policy import SampleRequest

        number = SPACE // 2 + (self._offset + prefix.row * _PER_STATE + slot) % (SPACE // 2)
        tokens = [*prefix.prompt.tolist(), *prefix.token_ids.tolist(), *more]
        return SampleRequest(key, tokens, int(seeds(self._manifest.seed, [number])[0]), budget)

    def _sample(self, requests: Sequence[SampleRequest]) -> dict[tuple[int, int], Completion]:
        found: dict[tuple[int, int], Completion] = {}
        for completion in self._policy.sample(requests, self._sampling) if requests else ():
            self.tokens_sampled += len(completion.token_ids)
            found[completion.key] = completion
        return found

    def _drawn(
        self,
        prefixes: Sequence[Prefix],
        n: int,
        sampled: dict[tuple[int, int], tuple[list[int], FinishReason | None]],
    ) -> list[list[Drawn]]:
        """Grades what is finished. An unfinished response has None for its reason."""
        keys = [(place, index) for place in range(len(prefixes)) for index in range(n)]
        codec, before = self._policy.codec, [prefix.token_ids.tolist() for prefix in prefixes]
        texts = codec.decode_many([before[key[0]] + sampled[key][0] for key in keys])
        steps = [self._step(*sampled[key]) for key in keys]
        step_texts = codec.decode_many(
            [before[key[0]] + sampled[key][0][:step] for key, step in zip(keys, steps, strict=True)]
        )
        grades = [
            None if reason is None else self._grading.submit(prefixes[key[0]].problem, text, reason)
            for key, text in zip(keys, texts, strict=True)
            for reason in (sampled[key][1],)
        ]
        drawn = []
        for key, text, step, step_text, grade in zip(keys, texts, steps, step_texts, grades, strict=True):
            tokens, reason = sampled[key]
            return_ = None if grade is None else grade.result()
            drawn.append(
                Drawn(
                    np.array(tokens, dtype=np.int32), text, np.nan if return_ is None else return_,
                    reason is not None, step, step_text,
                )
            )  # fmt: skip
        return [drawn[place * n : (place + 1) * n] for place in range(len(prefixes))]

    def _step(self, tokens: list[int], reason: FinishReason | None) -> int:
        if reason is None:
            return len(tokens)
        end = self._first_end(tokens)
        return end if end < len(tokens) else 0

    @property
    def _protocol(self) -> Protocol:
        return find_protocol(self._manifest.protocol)

    @cached_property
    def _sampling(self) -> Sampling:
        from sveb.policies.policy import Sampling

        return Sampling(**self._manifest.sampling)

    @cached_property
    def _task(self) -> Task:
        from sveb.tasks.task import Task

        return Task.of_suite(self._manifest.task)

    @cached_property
    def _policy(self) -> Policy:
        started = time.perf_counter()
        longest = self._protocol.context_budget(self._longest_prompt(), self._sampling.max_new_tokens)
        policy = load_checked(self._manifest, None, longest)
        self._open.callback(policy.close)
        self.load_s += time.perf_counter() - started
        return policy

    @cached_property
    def _grading(self) -> Grading:
        from sveb.tasks.grading import Grading

        return self._open.enter_context(Grading(self._task))


def _check(what: str, n: int, most: int, states: int) -> None:
    if not 1 <= n <= most:
        raise RefusedError(f"{n} {what} per state were asked for: expected 1 to {most}")
    if n * states > MOST_AT_ONCE:
        raise RefusedError(f"{n * states} {what} at once, at most {MOST_AT_ONCE} are sampled: ask for fewer states")
