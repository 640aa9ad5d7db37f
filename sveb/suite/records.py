"""Frozen records: what is stored on disk, one dataclass per kind of row. They have no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

StateKind = Literal["root", "path", "sibling"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class ProblemRecord:
    """One question with its reference answer.

    `tier` names a difficulty level if the task has one. `extras` is JSON-serialisable and never
    shown to an estimator.
    """

    problem_id: str
    question: str
    answer: str
    tier: str | None = None
    extras: dict[str, Any] = field(default_factory=dict)
