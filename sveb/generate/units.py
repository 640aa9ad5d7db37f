"""The unit of work: several continuations of one prefix, before and after they are sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sveb.suite.records import ProblemRecord


@dataclass(frozen=True)
class Unit:
    """`len(seeds)` continuations of one prefix, of at most `max_tokens` new tokens each.

    The prefix is `prompt`, then `response`: the tokens of the response so far, which are graded together with what
    follows. `chunk` numbers the units of the same `unit_id`.
    """

    unit_id: str
    problem: ProblemRecord
    prompt: Sequence[int]
    response: Sequence[int]
    seeds: npt.NDArray[np.uint32]
    max_tokens: int
    chunk: int = 0

    def chunks(self, size: int) -> Iterator[Unit]:
        """The same work as units of at most `size` continuations each."""
        for chunk, start in enumerate(range(0, len(self.seeds), size)):
            yield replace(self, chunk=chunk, seeds=self.seeds[start : start + size])


@dataclass(frozen=True)
class FinishedUnit:
    """One unit's continuations, in the order of its seeds. `return_` None: not graded.

    What is needed to grade them later is stored only where a grade is missing: `response` (the response tokens of the
    prefix) and, in the truth stage, the `token_ids` of the ungraded continuations.
    """

    unit_id: str
    chunk: int
    problem_id: str
    response: list[int] | None
    seed: list[int]
    token_ids: list[list[int] | None]
    n_tokens: list[int]
    finish_reason: list[str]
    return_: list[float | None]
