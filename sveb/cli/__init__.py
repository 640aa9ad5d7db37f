"""The command line. A command parses, calls one function of another room, and prints. Heavy imports stay inside it."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

# Importing a module adds its commands to the application.
from sveb.cli import (  # noqa: F401
    check_command,
    critic_command,
    entry_commands,
    eval_command,
    generate_command,
    grade_command,
    import_command,
    leaderboard_commands,
    listing_commands,
    model_commands,
    report_command,
    score_commands,
    submit_command,
    suite_commands,
    task_commands,
)
from sveb.cli.app import app, critic_app, leaderboard_app, models_app, suite_app, tasks_app
from sveb.common.errors import SvebError
from sveb.common.version import __version__

__all__ = ["app", "main"]

app.add_typer(suite_app, name="suite")
app.add_typer(critic_app, name="critic")
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")
app.add_typer(leaderboard_app, name="leaderboard")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        typer.echo(f"sveb {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point. Exit codes: 0 success, 1 a check failed or SVEB has a bug, 2 an error of the user, 130 stopped."""
    try:
        app()
    except SvebError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        typer.echo("error: the disk is full: free some space, then run the command again", err=True)
        sys.stdout = None  # what could not be written is not tried again at exit
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
