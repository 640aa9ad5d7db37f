"""One generation: what was asked for, and what its stages share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sveb.core.records import ProblemRecord
from sveb.generate.plan import Counts, Plan, SeedLayout
from sveb.generate.stages import Reporter
from sveb.generate.store import Store
from sveb.generate.tiers import Selection, Tier
from sveb.policies.base import Policy
from sveb.tasks.problems import ProblemSet
from sveb.tasks.task import Task


@dataclass(frozen=True)
class Settings:
    """What the caller asks for. None: the model's, the task's or the preset's own value.

    With `tiers` the test problems are chosen by the pass rates of `pilot` rollouts each; `counts.test_problems` is then
    the tiers' sum.
    """

    model: str
    out: Path
    counts: Counts
    task: str | None = None
    engine: str | None = None
    revision: str | None = None
    data: Path | None = None
    seed: int = 0
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    tiers: tuple[Tier, ...] = ()
    pilot: int = 20


@dataclass(frozen=True)
class Job:
    """One generation under way. `problems.test` are all candidates until the tiers have chosen among them."""

    settings: Settings
    plan: Plan
    task: Task
    policy: Policy
    problems: ProblemSet
    prompts: dict[str, list[int]]
    layout: SeedLayout
    store: Store
    reporter: Reporter
    selection: Selection | None = None

    @property
    def ordered(self) -> list[ProblemRecord]:
        """Test problems, then training problems: a problem's place here numbers its seeds."""
        return [*self.problems.test, *self.problems.train]


def chunks(total: int, size: int) -> list[tuple[int, int, int]]:
    """(chunk, start, stop) that cover range(total)."""
    return [(i, start, min(start + size, total)) for i, start in enumerate(range(0, total, size))]
