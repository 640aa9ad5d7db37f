"""`sveb validate`: what keeps an entry off the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import app


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="A folder of entries, or one entry.")] = Path("submissions"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for CI.")] = False,
) -> None:
    """Check entries, all faults at once, without running their code; exit 1 if there are errors.


    \b
    Examples:
      sveb validate
      sveb validate submissions/2026-11-20_numca
      sveb validate submissions --json
    """
    import json
    from dataclasses import asdict

    from sveb.leaderboard.validate import validate as run

    found = run(path)
    errors = len(found.errors)
    warnings = len(found.faults) - errors
    if as_json:
        faults = [asdict(fault) for fault in found.faults]
        counts = {"entries": found.entries, "errors": errors, "warnings": warnings}
        typer.echo(json.dumps(counts | {"faults": faults}, indent=1))
    else:
        from sveb.console.base import out
        from sveb.console.faults import faults_table

        if found.faults:
            out.print(faults_table(found.faults))
        out.print(f"{found.entries} entries: {errors} errors, {warnings} warnings", highlight=False)
    if errors:
        raise typer.Exit(1)
