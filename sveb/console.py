"""What the terminal shows: progress, tables, intervals as text and as pictures. No figure is computed here."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sveb.core.manifest import Manifest
from sveb.core.results import Estimate, Results
from sveb.core.suite import Suite, local_suites
from sveb.doctor import Check
from sveb.estimate.registry import describe
from sveb.policies.models import models
from sveb.score.compare import Comparison
from sveb.tasks.folders import task_names
from sveb.tasks.task import Task

# A pipe has no width: rows are then as long as they need to be.
out = Console(width=None if sys.stdout.isatty() else 200)
# A copy of stderr: while an engine loads, its own chatter on descriptor 2 is diverted, our progress is not.
err = Console(file=os.fdopen(os.dup(2), "w", encoding="utf-8"))

_WIDTH = 21
_LOW, _HIGH = -0.25, 1.0  # the span of the skill picture
# Figures beside the skill, with their decimals; a wide terminal shows their intervals, a narrow one fewer of them.
_COLUMNS = {"mse": 4, "r2_within": 2, "spearman": 2, "order_steps": 2, "order_siblings": 2, "worth": 2}
_WIDE, _NARROW = 165, 120


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table in the house's look; `right` names the columns of numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def figure(estimate: Estimate, places: int = 3, *, interval: bool = True) -> Text:
    """`0.412 [0.371, 0.455]`, dimmed interval; `n/a` where it does not exist."""
    if not math.isfinite(estimate.value):
        return Text("n/a", style="dim")
    text = Text(f"{estimate.value:.{places}f}")
    if interval and math.isfinite(estimate.low):
        text.append(f" [{estimate.low:.{places}f}, {estimate.high:.{places}f}]", style="dim")
    return text


def skill_picture(skill: Estimate) -> Text:
    """The interval drawn from -0.25 to 1: a dot at the value, a bar at 0 (the group mean); `<` and `>` beyond."""
    cells = [" "] * _WIDTH

    def place(value: float) -> int:
        return min(_WIDTH - 1, max(0, round((value - _LOW) / (_HIGH - _LOW) * (_WIDTH - 1))))

    cells[place(0.0)] = "│"
    if math.isfinite(skill.low):
        for cell in range(place(skill.low), place(skill.high) + 1):
            cells[cell] = "─"
    if math.isfinite(skill.value):
        cells[place(skill.value)] = "<" if skill.value < _LOW else ">" if skill.value > _HIGH else "●"
    return Text("".join(cells))


def results_table(rows: Sequence[tuple[str, Results]], mine: str) -> Table:
    """Scores side by side, best skill first; the row named `mine` stands out."""
    first = rows[0][1].info.suite
    title = f"{first.name} {first.version} ({first.task}, {first.policy}): 95 % intervals over problems"
    wide, narrow = out.width >= _WIDE, out.width < _NARROW
    shown = ["mse", "r2_within", "worth"] if narrow else list(_COLUMNS)
    costs = [] if narrow else ["ms/state", "tok/state"]
    numbers = ["skill", *shown, *costs]
    made = table(title, "estimator", "0 group mean, 1 best", *numbers, right=numbers)

    def key(row: tuple[str, Results]) -> float:
        value = row[1].metrics["skill"].value
        return -value if math.isfinite(value) else math.inf

    for name, results in sorted(rows, key=key):
        m, cost = results.metrics, results.info.cost
        made.add_row(
            name,
            skill_picture(m["skill"]),
            figure(m["skill"]),
            *(figure(m[metric], _COLUMNS[metric], interval=wide) for metric in shown),
            *(f"{1000 * cost.wall_s_per_state:.1f}", f"{cost.tokens_sampled_per_state:.0f}")[: len(costs)],
            style="bold cyan" if name == mine else "",
        )
    return made


class GenerateProgress:
    """A bar a stage, with tokens a second and the time left. A `Reporter` of `sveb.generate`."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=err,
        )
        self._stage: int | None = None
        self._started = 0.0
        self._tokens = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish_stage()
        self._progress.stop()

    def _finish_stage(self) -> None:
        if self._stage is not None:
            task = self._progress.tasks[self._stage]
            total = task.total or 1
            self._progress.update(self._progress.task_ids[self._stage], total=total, completed=total)

    def stage(self, name: str, total: int, done: int) -> None:
        """See `Reporter.stage`."""
        self._finish_stage()
        if not err.is_terminal:
            err.print(f"{name}: {total - done} of {total} continuations to do" if total else name)
        self._stage = int(self._progress.add_task(f"{name:<12}", total=total or None, completed=done, rate=""))
        self._started, self._tokens = time.monotonic(), 0

    def advance(self, continuations: int, tokens: int) -> None:
        """See `Reporter.advance`."""
        if self._stage is None:
            return
        self._tokens += tokens
        rate = self._tokens / max(time.monotonic() - self._started, 1e-9)
        task_id = self._progress.task_ids[self._stage]
        self._progress.update(task_id, advance=continuations, rate=f"{rate:,.0f} tok/s")


@contextmanager
def problems_progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Bars over problems, one an estimator: yields a function from a name to its `progress(done, total)`."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True,
    ) as progress:  # fmt: skip

        def bar(name: str) -> Callable[[int, int], None]:
            task = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar


def remarks(results: Results, comparison: Comparison | None) -> Iterator[str]:
    """What a reader should know beside the table: the verdict, alarms, gaps, what was touched."""
    if comparison is not None:
        yield comparison.verdict
    for alarm in results.alarms:
        yield f"[bold red]alarm[/] {escape(', '.join(f'{key}: {value}' for key, value in alarm.items()))}"
    if missing := results.counts.get("missing_predictions"):
        yield f"[yellow]{missing} predictions were missing and counted as the training mean[/]"
    yield f"information used: {', '.join(results.info.budget) or 'the states alone'}"


def suite_table(suite: Suite) -> Table:
    """A suite's identity and figures."""
    m, s = suite.manifest, suite.manifest.statistics
    made = table(f"{m.name} {m.version}", "figure", "value")
    rows = {
        "folder": suite.path,
        "task, policy": f"{m.task['name']}, {m.policy['name']} ({m.policy['engine']} {m.policy['engine_version']})",
        "sampling": ", ".join(f"{key} {value}" for key, value in m.sampling.items()),
        "states": ", ".join(f"{count} {kind}" for kind, count in s["states"].items()),
        "sibling groups": s["sibling_groups"],
        "truth": f"{s['continuations']} continuations, K = {m.counts['continuations']}, {s['missing_grades']} ungraded",
        "truncated": ", ".join(f"{share:.2%} of {what}" for what, share in s["truncated_share"].items()),
        "success rate": s["success_rate"],
        **{f"  tier {tier}": rate for tier, rate in s["success_rate_by_tier"].items()},
        "Var(V) of path states": s["value_variance"],
        "  within problems": _share(s["within_problem_share"]),
        "  with .05 < V < .95": _share(s["graded_share"]),
        "noise floor": s["noise_floor"],
        "tokens sampled": f"{m.generation['tokens_sampled']:,}",
        "checksum": suite.checksum[:16],
    }
    for name, value in rows.items():
        made.add_row(name, "n/a" if value is None else str(value))
    return made


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def suites_table() -> Table:
    """All suites that a name finds."""
    made = table("suites", "name", "version", "task", "policy", "path states", "K", "folder")
    for name, folder in local_suites().items():
        m = Manifest.read(folder)
        made.add_row(
            name, m.version, m.task["name"], m.policy["name"], str(m.statistics["states"]["path"]),
            str(m.counts["continuations"]), str(folder),
        )  # fmt: skip
    return made


def tasks_table() -> Table:
    """All tasks."""
    made = table("tasks", "name", "field", "problems from", "steps", "grader", "description")
    for name in task_names():
        task = Task.load(name)
        source = task.source.get("hub", task.source["kind"])
        made.add_row(name, task.field, source, task.steps["splitter"], task.answer["grader"], task.description)
    return made


def models_table() -> Table:
    """All named policies."""
    made = table("models (any hub id or folder works too)", "name", "size", "source", "default task")
    for entry in models().values():
        made.add_row(entry.name, entry.size, entry.source, entry.task)
    return made


def estimators_table() -> Table:
    """All built-in estimators."""
    made = table("built-in estimators", "name", "information", "cost", "description")
    for each in describe():
        made.add_row(each.name, ", ".join(each.budget) or "none", each.cost, each.description)
    return made


def checks_table(checks: Sequence[Check]) -> Table:
    """What `sveb doctor` found."""
    made = table("this machine", "", "what", "found", "what to do")
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[red]missing[/]" if check.needed else "[yellow]absent[/]"
        made.add_row(mark, check.name, escape(check.found), "" if check.ok else escape(check.mend))
    return made
