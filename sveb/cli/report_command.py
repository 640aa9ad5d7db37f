"""`sveb report`: a page about one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import RECORDED_SUITE, app


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder, or its results.json or predictions.parquet.")],
    suite: Annotated[str | None, RECORDED_SUITE] = None,
    out: Annotated[Path | None, typer.Option(help="File of the page; default: report.html in the run folder.")] = None,
) -> None:
    """Write a page about one run: its scores, where it is wrong, and how certain that is.


    \b
    Examples:
      sveb eval numca && sveb report runs/ledger-nano/numca
      sveb report runs/ledger-nano/numca --suite ledger-nano --out numca.html
    """
    from rich.markup import escape

    from sveb.cli.console import out as console
    from sveb.cli.run_tables import results_table
    from sveb.publication import report as build

    made = build(run, suite, out)
    rows = made.others | {made.run.name: made.run.results}
    console.print(results_table(list(rows.items()), made.run.name))
    for line in made.verdict:
        console.print(escape(line))
    console.print(f"[bold]report:[/] {escape(str(made.page))}", soft_wrap=True)
