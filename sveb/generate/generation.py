"""One generation: what was asked for, and what its stages share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.generate.plan import Allocation, Counts, Plan, Protocol, SeedLayout
from sveb.generate.regrade import regrade
from sveb.generate.run_stage import Reporter, run_stage
from sveb.generate.tiers import Selection, Tier
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.policy import Policy
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading
from sveb.tasks.problems import ProblemSet
from sveb.tasks.task import Task


class StoppedError(SvebError):
    """A fault in the middle of the work. What is finished is kept: the same command continues."""


@dataclass(frozen=True)
class Settings:
    """What the caller asks for. None: the model's, the task's or the preset's own value.

    With `tiers` the test problems are chosen by the pass rates of `pilot` rollouts each; `counts.test_problems` is then
    the tiers' sum. With `sample` the problems are the task's own few. With `truth` adaptive the draws decide how many
    continuations each state's truth gets.
    """

    model: str
    out: Path
    counts: Counts
    task: str | None = None
    engine: str | None = None
    server_url: str | None = None
    ray_actors: int | None = None
    revision: str | None = None
    data: Path | None = None
    sample: bool = False
    seed: int = 0
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    judge_url: str | None = None
    judge_model: str | None = None
    tiers: tuple[Tier, ...] = ()
    pilot: int = 20
    protocol: Protocol = "standard"
    truth: Allocation = "fixed"


@dataclass(frozen=True)
class Job:
    """One generation under way. `problems.test` are all candidates until the tiers have chosen among them.

    `missing` counts, by stage and reason, what could not be graded at the last attempt.
    """

    settings: Settings
    plan: Plan
    task: Task
    policy: Policy
    problems: ProblemSet
    prompts: dict[str, list[int]]
    layout: SeedLayout
    store: Store
    reporter: Reporter
    grading: Grading
    selection: Selection | None = None
    missing: dict[str, Counter[str]] = field(default_factory=dict)

    def run(
        self,
        stage: str,
        units: Callable[[], Iterable[Unit]],
        *,
        graded: bool = True,
        keep_tokens: bool = True,
        again: bool = True,
    ) -> None:
        """Brings a stage's units into the store (`run_stage`), then grades its ungraded ones once more.

        With `again=False` what is missing stays so: where a later stage was already chosen by these returns.
        """
        run_stage(
            stage, units, self.store, self.policy, self.plan.sampling, self.reporter,
            grading=self.grading if graded else None, keep_tokens=keep_tokens,
        )  # fmt: skip
        if graded and again:
            self.missing[stage] = regrade(
                stage, self.store, self.policy.codec, self.grading, self._by_id, keep_tokens, self.reporter
            )

    @cached_property
    def _by_id(self) -> dict[str, ProblemRecord]:
        return {problem.problem_id: problem for problem in self.ordered}

    @property
    def ordered(self) -> list[ProblemRecord]:
        """Test problems, then training problems: a problem's place here numbers its seeds."""
        return [*self.problems.test, *self.problems.train]


def chunks(total: int, size: int) -> list[tuple[int, int, int]]:
    """(chunk, start, stop) that cover range(total)."""
    return [(i, start, min(start + size, total)) for i, start in enumerate(range(0, total, size))]
