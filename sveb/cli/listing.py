"""`sveb models`, `estimators` and `doctor`: what there is here."""

from __future__ import annotations

import typer

from sveb.cli.app import app


@app.command()
def models() -> None:
    """List the named policies."""
    from sveb.console.base import out
    from sveb.console.listing import models_table

    out.print(models_table())


@app.command()
def estimators() -> None:
    """List the built-in estimators."""
    from sveb.console.base import out
    from sveb.console.listing import estimators_table

    out.print(estimators_table())


@app.command()
def doctor() -> None:
    """Check what this machine can do, and say what is missing."""
    from sveb.console.base import out
    from sveb.console.listing import checks_table
    from sveb.doctor import examine

    checks = examine()
    out.print(checks_table(checks))
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(2)
