"""The unit of work, before and after it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sveb.suite.records import ProblemRecord


@dataclass(frozen=True)
class Unit:
    """`len(seeds)` continuations of one prefix.

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


@dataclass(frozen=True)
class FinishedUnit:
    """One unit's continuations, in the order of its seeds. `return_` None = not graded.

    What grades the ungraded later is kept only where there are such: `response` (the prefix's response tokens), and
    `token_ids` also where a stage otherwise keeps only the returns (a truth continuation that was graded).
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
