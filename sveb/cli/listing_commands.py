"""`sveb estimators` and `sveb doctor`: what is available here."""

from __future__ import annotations

import typer

from sveb.cli.app import app


@app.command()
def estimators() -> None:
    """List the built-in estimators."""
    from sveb.cli.console import out
    from sveb.cli.listing_tables import estimators_table

    out.print(estimators_table())


@app.command()
def doctor() -> None:
    """Check what this machine can do, and show what is missing and how to get it."""
    from sveb.cli.console import out
    from sveb.cli.doctor import examine
    from sveb.cli.listing_tables import checks_table

    checks = examine()
    out.print(checks_table(checks))
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(2)
