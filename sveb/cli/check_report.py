"""The report of `sveb check` as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from sveb.cli.console import table
from sveb.harness.conformance.examination import CheckReport

_MARKS = {"ok": "[green]ok[/]", "failed": "[red]failed[/]", "unchecked": "[dim]n/a[/]"}


def report_table(report: CheckReport) -> Table:
    """All checks. A failure shows what was found and, in the next line, what to change."""
    made = table(escape(report.spec), "", "check", "what was found, and what to change")
    for check in report.checks:
        found = escape(check.found) if check.outcome == "failed" else f"[dim]{escape(check.found)}[/]"
        made.add_row(
            _MARKS[check.outcome], check.name, found + (f"\n[bold]-> {escape(check.fix)}[/]" if check.fix else "")
        )
    return made


def summary(report: CheckReport) -> Iterator[str]:
    """How many checks passed, on how much data, and what information the estimator uses."""
    total, failed = len(report.checks), len(report.failed)
    verdict = f"[red]{failed} of {total} checks failed[/]" if failed else f"[green]all {total} checks passed[/]"
    yield f"{verdict}, on {report.n_problems} problems with {report.n_states} states of the embedded suite"
    yield f"[bold]information budget:[/] {', '.join(report.budget) or 'none'}"
