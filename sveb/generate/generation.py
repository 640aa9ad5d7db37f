"""Start here: what a generation is asked for (`Settings`), and what its stages share (`Job`).

`pipeline.generate` runs the stages one after the other. Each one continues prefixes with the policy:

1. tier_stage.py: with `tiers`, `pilot` rollouts of each candidate problem choose the test problems;
2. rollout_stage.py: whole responses to every problem;
3. state_stage.py: states are cut from probe rollouts, and alternative next steps are sampled at some of them;
4. continuation_stage.py: the draws (continuations that estimators may buy), then the truth (those behind V), then the
   audit pool (neither of them).

Then next_steps.py weighs the steps after the states, and package.py writes the suite. Finished work is in <suite>/work
until then (unit_store.py): the same call continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError, unknown_name
from sveb.generate.given_rollouts import GivenRollouts, given_counts, open_given
from sveb.generate.plan import Allocation, Counts, Plan, SeedLayout, counts_for, find_allocation
from sveb.generate.stage_runner import StageRunner
from sveb.generate.tiers import Selection, Tier, parse_tiers
from sveb.policies.models import find_model
from sveb.suite.manifest import version_numbers
from sveb.suite.protocol import STANDARD, Protocol, find_protocol
from sveb.suite.records import ProblemRecord
from sveb.tasks.problems import ProblemSet
from sveb.tasks.task import Task


class StoppedError(SvebError):
    """The work stopped at an error after it had begun. Finished units are kept: the same call continues."""


@dataclass(frozen=True)
class Settings:
    """What the caller asks for. None means: the default of the model or of the task.

    With `tiers` the test problems are chosen by the pass rates of `pilot` rollouts each; `counts.test_problems` is then
    the sum of the tiers. With `sample` the problems are the few that the task brings along. With `truth` "adaptive" the
    draws of a state decide how many continuations its truth gets. `chat_template_kwargs` are arguments of the policy's
    chat template, added to those of the task. With `from_rollouts`, the folder of an import, the
    problems, their prompts and their context rollouts are the imported ones.
    """

    model: str
    out: Path
    counts: Counts
    task: str | None = None
    engine: str | None = None
    server_url: str | None = None
    ray_actors: int | None = None
    workers: int | None = None
    revision: str | None = None
    data: Path | None = None
    sample: bool = False
    seed: int = 0
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    judge_url: str | None = None
    judge_model: str | None = None
    judge_format: str = "verdict"
    tiers: tuple[Tier, ...] = ()
    pilot: int = 20
    protocol: Protocol = STANDARD
    truth: Allocation = "fixed"
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    from_rollouts: Path | None = None
    suite_version: str = "1.0.0"

    def __post_init__(self) -> None:
        version_numbers(self.suite_version)


def settings_for(
    model: str,
    *,
    task: str | None = None,
    out: Path | None = None,
    size: str = "standard",
    counts: Mapping[str, int | None] | None = None,
    tiers: str = "",
    protocol: str = STANDARD.name,
    truth: str = "fixed",
    from_rollouts: Path | None = None,
    **others: Any,
) -> Settings:
    """Settings from a preset `size` with single `counts` replaced (None keeps the preset's).

    `tiers` is LOW:HIGH:PROBLEMS, comma-separated. `out` is suites/<task>-<model>[-<size>][-<protocol>] by default.
    `others` are further fields of `Settings`. Raises SvebError for unknown names and for counts that do not fit.
    """
    wanted = dict(counts or {})
    for name in wanted:
        if name not in (known := [each.name for each in fields(Counts)]):
            raise unknown_name("count", name, known)
    bands = parse_tiers(tiers) if tiers else ()
    if bands:
        if wanted.get("test_problems") is not None:
            raise SvebError("the tiers set the number of test problems: leave --test-problems out")
        wanted["test_problems"] = sum(tier.problems for tier in bands)
    if from_rollouts is not None:
        for option, given in (("--tiers", bands), ("--data", others.get("data")), ("--sample", others.get("sample"))):
            if given:
                raise SvebError(f"--from-rollouts and {option} choose different problems: give only one of them")
        if others.get("chat_template_kwargs"):
            raise SvebError("--from-rollouts uses the prompts of the import: leave --chat-template-kwarg out")
        wanted = given_counts(open_given(from_rollouts), wanted)
    kind = find_protocol(protocol)
    name = f"{task_for(model, task)}-{find_model(model).name}{'' if size == 'standard' else f'-{size}'}{kind.suffix}"
    return Settings(
        model=model,
        task=task,
        out=out or Path("suites") / name,
        counts=counts_for(size, wanted, kind),
        tiers=bands,
        protocol=kind,
        truth=find_allocation(truth),
        from_rollouts=from_rollouts,
        **others,
    )


def task_for(model: str, task: str | None) -> str:
    """The name of the task: the one asked for, else the model's default."""
    found = task or find_model(model).task
    if found is None:
        raise SvebError(f"model {model!r} has no default task: name one with --task (`sveb tasks` lists them)")
    return found


@dataclass(frozen=True, kw_only=True)
class Job(StageRunner):
    """One generation at work: `run` brings a stage into `store` with `policy`, and grades it with `grading`.

    `prompts` holds each problem's prompt tokens by problem_id. `problems.test` are all candidates until the tiers have
    chosen among them; `selection` is then their choice. `layout` gives each continuation its seed. `given` are
    imported rollouts, None if all are sampled.
    """

    settings: Settings
    plan: Plan
    task: Task
    problems: ProblemSet
    prompts: dict[str, list[int]]
    layout: SeedLayout
    selection: Selection | None = None
    given: GivenRollouts | None = None

    @property
    def ordered(self) -> list[ProblemRecord]:
        """Test problems, then training problems. A problem's place in this list decides its seeds."""
        return [*self.problems.test, *self.problems.train]

    def to_sample(self, place: int) -> tuple[int, int]:
        """The number of the first rollout to sample of the problem at this place, and how many.

        Given rollouts take the place of the context and training rollouts: only probes are sampled.
        """
        counts, test = self.plan.counts, place < len(self.problems.test)
        if self.given is not None:
            return counts.group, counts.probes if test else 0
        return 0, counts.group + counts.probes if test else counts.train_group
