"""Tables of what is available: tasks, models, estimators, and what this machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from sveb.cli.console import table
from sveb.cli.doctor import Check
from sveb.estimators.registry import describe
from sveb.policies.conversion_cache import conversions
from sveb.policies.models import bytes_on_disk, models
from sveb.tasks.task import Task
from sveb.tasks.task_folders import task_names


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
    title = "models (any id of a hub model, any model folder and any GGUF file works too)"
    made = table(title, "name", "parameters", "source", "default task", "on this disk", right=["on this disk"])
    here = bytes_on_disk()
    for entry in models().values():
        made.add_row(entry.name, entry.size, entry.source, entry.task, _size(here.get(entry.name)))
    return made


def conversions_table() -> Table:
    """All weights that were converted or merged on this machine."""
    title = "converted weights (to free the space, delete a folder)"
    made = table(title, "made from", "sha256", "on this disk", "folder", right=["on this disk"])
    for one in conversions():
        parts = {kind: Path(about.get("file", about.get("source", ""))).name for kind, about in one.origin.items()}
        made_from = ", ".join(f"{kind} {name}" for kind, name in parts.items())
        made.add_row(made_from, one.weights_sha256[:12], _size(one.size), str(one.folder))
    return made


def _size(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.1f} MB"


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
        made.add_row(mark, check.name, escape(check.found), "" if check.ok else escape(check.fix))
    return made
