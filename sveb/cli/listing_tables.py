"""Tables of what is available: tasks, models, estimators, and what this machine can do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from sveb.cli.console import table
from sveb.cli.doctor import Check
from sveb.estimators.registry import describe
from sveb.policies.models import models
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
    made = table("models (any id of a hub model and any folder works too)", "name", "size", "source", "default task")
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
        made.add_row(mark, check.name, escape(check.found), "" if check.ok else escape(check.fix))
    return made
