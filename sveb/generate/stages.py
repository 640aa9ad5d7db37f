"""Running a stage: its unfinished units through the policy, graded, into the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sveb.core.records import ProblemRecord
from sveb.generate.store import FinishedUnit, Store
from sveb.policies.base import Completion, Policy, SampleRequest, Sampling
from sveb.tasks.task import Task


class Reporter(Protocol):
    """Hears of progress; the CLI draws it."""

    def stage(self, name: str, total: int, done: int) -> None:
        """A stage begins: `total` continuations, `done` of them by an earlier run."""
        ...

    def advance(self, continuations: int, tokens: int) -> None:
        """So many more continuations, sampled with so many tokens."""
        ...


class SilentReporter:
    """Draws nothing; sums the tokens and continuations that it hears of."""

    def __init__(self) -> None:
        self.tokens = 0
        self.continuations = 0

    def stage(self, name: str, total: int, done: int) -> None:
        """See `Reporter`."""

    def advance(self, continuations: int, tokens: int) -> None:
        """See `Reporter`."""
        self.tokens += tokens
        self.continuations += continuations


@dataclass(frozen=True)
class Unit:
    """The unit of work: `len(seeds)` continuations of one prefix.

    `response` are the response tokens that the prefix holds already; they count against the token budget and are
    graded with what follows.
    """

    unit_id: str
    chunk: int
    problem: ProblemRecord
    prompt: Sequence[int]
    response: Sequence[int]
    seeds: npt.NDArray[np.uint32]
    max_tokens: int


Grade = Callable[[Unit, list[Completion]], list[float | None]]


def grader(task: Task, policy: Policy) -> Grade:
    """Grades whole responses: the prefix's tokens and the continuation's, decoded together."""

    def grade(unit: Unit, completions: list[Completion]) -> list[float | None]:
        texts = policy.codec.decode_many([[*unit.response, *c.token_ids.tolist()] for c in completions])
        return [
            task.grade(unit.problem, text, completion.finish_reason)
            for text, completion in zip(texts, completions, strict=True)
        ]

    return grade


def run_stage(
    stage: str,
    units: Sequence[Unit],
    store: Store,
    policy: Policy,
    sampling: Sampling,
    reporter: Reporter,
    *,
    grade: Grade | None,
    keep_tokens: bool = True,
) -> None:
    """Brings every unit of a stage into the store, skipping those that are there.

    Without `grade` the returns stay missing. With `keep_tokens=False` only ungraded continuations keep their tokens.
    """
    done = store.done(stage)
    todo = [unit for unit in units if (unit.unit_id, unit.chunk) not in done]
    total = sum(len(unit.seeds) for unit in units)
    reporter.stage(stage, total, total - sum(len(unit.seeds) for unit in todo))
    if not todo:
        return
    open_units: dict[int, list[Completion | None]] = {}

    def requests() -> Iterator[SampleRequest]:
        for index, unit in enumerate(todo):
            open_units[index] = [None] * len(unit.seeds)
            prefix = [*unit.prompt, *unit.response]
            for place, seed in enumerate(unit.seeds):
                yield SampleRequest((index, place), prefix, int(seed), unit.max_tokens)

    try:
        for completion in policy.sample(requests(), sampling):
            index, place = completion.key
            open_units[index][place] = completion
            reporter.advance(1, len(completion.token_ids))
            found = [c for c in open_units[index] if c is not None]
            if len(found) == len(open_units[index]):
                del open_units[index]
                store.append(stage, _finish(todo[index], found, grade, keep_tokens))
    finally:
        # On Ctrl-C or a fault too: what is finished is kept.
        store.flush(stage)


def _finish(unit: Unit, completions: list[Completion], grade: Grade | None, keep_tokens: bool) -> FinishedUnit:
    returns: list[float | None] = grade(unit, completions) if grade else [None] * len(completions)
    tokens = [completion.token_ids.tolist() for completion in completions]
    return FinishedUnit(
        unit_id=unit.unit_id,
        chunk=unit.chunk,
        seed=unit.seeds.tolist(),
        token_ids=[t if keep_tokens or r is None else None for t, r in zip(tokens, returns, strict=True)],
        n_tokens=[len(t) for t in tokens],
        finish_reason=[completion.finish_reason for completion in completions],
        return_=returns,
    )
