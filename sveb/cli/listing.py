"""`sveb tasks`, `models`, `estimators` and `doctor`: what there is here."""

from __future__ import annotations

import typer

from sveb.cli.app import app


@app.command()
def tasks() -> None:
    """List the tasks."""
    from sveb import console

    console.out.print(console.tasks_table())


@app.command()
def models() -> None:
    """List the named policies."""
    from sveb import console

    console.out.print(console.models_table())


@app.command()
def estimators() -> None:
    """List the built-in estimators."""
    from sveb import console

    console.out.print(console.estimators_table())


@app.command()
def doctor() -> None:
    """Check what this machine can do, and say what is missing."""
    from sveb import console
    from sveb.doctor import examine

    checks = examine()
    console.out.print(console.checks_table(checks))
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(2)
