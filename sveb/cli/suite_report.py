"""What a command prints when it has written a suite."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from sveb.cli.console import out
from sveb.cli.listing_tables import suite_table
from sveb.suite.suite import Suite


def print_suite(folder: Path) -> None:
    """The suite's table, the next command, and whether grades are missing."""
    out.print(suite_table(Suite.open(folder)))
    shown = escape(str(folder))
    out.print(f"[bold]suite:[/] {shown}   next: sveb eval group_mean --suite {shown}")
    print_missing_grades(folder)


def print_missing_grades(folder: Path) -> None:
    """What to do if the work folder is still there: some continuations could not be graded."""
    work = folder / "work"
    if work.is_dir():
        out.print(
            "[yellow]Some grades are missing.[/] Run the same command again to retry them; to keep the suite as it is, "
            f"delete {escape(str(work))}"
        )
