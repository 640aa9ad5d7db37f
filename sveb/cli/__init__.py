"""The command line: parses, calls one function of one room, prints. Heavy imports stay inside commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sveb.cli import (
    check_command as check,
)
from sveb.cli import (
    entry_commands as entries,
)
from sveb.cli import (
    eval_command as evaluate,
)
from sveb.cli import (
    generate_command as generate,
)
from sveb.cli import (
    import_command as import_hista,
)
from sveb.cli import (
    leaderboard_commands as leaderboard,
)
from sveb.cli import (
    listing_commands as listing,
)
from sveb.cli import (
    report_command as report,
)
from sveb.cli import (
    score_commands as score,
)
from sveb.cli import (
    submit_command as submit,
)
from sveb.cli import (
    suite_commands as suite,
)
from sveb.cli import (
    task_commands as tasks,
)
from sveb.cli.app import app, leaderboard_app, suite_app, tasks_app
from sveb.common.errors import SvebError
from sveb.common.version import __version__

__all__ = [
    "app",
    "check",
    "entries",
    "evaluate",
    "generate",
    "import_hista",
    "leaderboard",
    "listing",
    "main",
    "report",
    "score",
    "submit",
    "suite",
    "tasks",
]

app.add_typer(suite_app, name="suite")
app.add_typer(tasks_app, name="tasks")
app.add_typer(leaderboard_app, name="leaderboard")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        typer.echo(f"sveb {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point. Exit codes: 0 fine, 2 the user can mend it, 1 our fault, 130 stopped."""
    try:
        app()
    except SvebError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
