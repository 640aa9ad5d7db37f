"""Tables of what there is: suites, tasks, models, estimators, the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import filesize
from rich.markup import escape
from rich.table import Table

from sveb.cli.console import table
from sveb.cli.doctor import Check
from sveb.estimators.registry import describe
from sveb.generate.cost import Forecast
from sveb.policies.models import models
from sveb.suite.manifest import Manifest
from sveb.suite.publish import Upload
from sveb.suite.suite import Suite, local_suites
from sveb.tasks.task import Task
from sveb.tasks.task_folders import task_names


def forecast_table(expected: Forecast) -> Table:
    """What a generation will do and cost: expected figures from a short trial."""
    trial, here = expected.trial, expected.seconds_here
    made = table(
        f"plan: {expected.problems:,} problems, about {expected.states:,} states (trial of {trial.rollouts} rollouts: "
        f"{trial.length:.0f} tokens each, {trial.remaining:.0f} after a state, {trial.tokens_per_s:,.0f} tokens/s)",
        "stage", "samples", "tokens", "time here", "on 1 H200-class GPU", "on 8", "on 64",
        right=("samples", "tokens", "time here", "on 1 H200-class GPU", "on 8", "on 64"),
    )  # fmt: skip
    rows = [(stage.name, stage.samples, stage.tokens) for stage in expected.stages]
    for name, samples, tokens in [*rows, ("all", sum(row[1] for row in rows), expected.tokens)]:
        share = tokens / expected.tokens
        times = [here * share, *(expected.seconds_on(gpus) * share for gpus in (1, 8, 64))]
        made.add_row(name, f"{samples:,}", f"{tokens:,.0f}", *map(duration, times))
    made.caption = (
        f"about {filesize.decimal(int(expected.bytes_on_disk))} on disk; GPU times are estimates (docs/scaling.md) "
        "and do not include the start of the engines"
    )
    made.caption_justify = "left"
    return made


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h` or `2.1 days`."""
    for unit, size, places in (("s", 1.0, 0), ("min", 60.0, 0), ("h", 3600.0, 1)):
        if seconds < size * (90 if unit != "h" else 48):
            return f"{seconds / size:.{places}f} {unit}"
    return f"{seconds / 86400:.1f} days"


def suite_table(suite: Suite) -> Table:
    """A suite's identity and figures."""
    m, s = suite.manifest, suite.manifest.statistics
    made = table(f"{m.name} {m.version}", "figure", "value")
    rows = {
        "folder": suite.path,
        "task, policy": f"{m.task['name']}, {m.policy['name']} ({m.policy['engine']} {m.policy['engine_version']})",
        "protocol": m.protocol,
        **{f"  {name}": _note(note) for name, note in m.notes.items()},
        "sampling": ", ".join(f"{key} {value}" for key, value in m.sampling.items()),
        "states": ", ".join(f"{count} {kind}" for kind, count in s["states"].items()),
        "sibling groups": s["sibling_groups"],
        "truth": f"{s['continuations']} continuations, K = {m.counts['continuations']}, {s['missing_grades']} ungraded",
        **{f"  ungraded {stage}": _reasons(found) for stage, found in m.generation.get("missing", {}).items()},
        **({"  kept apart": _private(m)} if m.private else {}),
        "truncated": ", ".join(
            f"{what} not recorded" if share is None else f"{share:.2%} of {what}"
            for what, share in s["truncated_share"].items()
        ),
        "success rate": s["success_rate"],
        **{f"  tier {tier}": rate for tier, rate in s["success_rate_by_tier"].items()},
        **{
            f"  looked at for {tier}": f"{n} problems"
            for tier, n in m.generation.get("pilot", {}).get("looked_at", {}).items()
        },
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


def _note(note: Any) -> str:
    """A note as text; tables as `key: value`, one after the other."""
    if isinstance(note, dict):
        return "; ".join(f"{key}: {_note(value)}" for key, value in note.items())
    return escape(str(note))


def _private(manifest: Manifest) -> str:
    held, promise = len(manifest.private_problems), manifest.private["commitment"][:16]
    return f"the truth of {held} of {manifest.counts['test_problems']} problems, commitment {promise}"


def _reasons(missing: dict[str, Any]) -> str:
    """`12 (timed out: 10, no answer from the judge: 2)`."""
    reasons = ", ".join(f"{reason}: {count}" for reason, count in missing["reasons"].items())
    return escape(f"{missing['count']} ({reasons})")


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def upload_table(upload: Upload) -> Table:
    """The files that a push sends."""
    made = table(f"{upload.suite.name} {upload.suite.manifest.version} to {upload.to}", "file", "bytes")
    for file in upload.files:
        made.add_row(str(file), f"{(upload.suite.path / file).stat().st_size:,}")
    made.add_row("all", f"{upload.size_bytes:,}")
    return made


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
