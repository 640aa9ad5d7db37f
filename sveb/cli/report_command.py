"""`sveb report`: a page about one run, or about a curve over training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import RECORDED_SUITE, app


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder, or with --series a jsonl file or a folder of runs.")],
    suite: Annotated[str | None, RECORDED_SUITE] = None,
    out: Annotated[Path | None, typer.Option(help="File of the page; default: report.html in the run folder.")] = None,
    series: Annotated[
        bool, typer.Option("--series", help="Draw the scores of a training's steps, as sveb.monitor wrote them.")
    ] = False,
) -> None:
    """Write a page about one run: its scores, where it is wrong, and how certain that is.


    \b
    Examples:
      sveb eval numca && sveb report runs/ledger-nano/numca
      sveb report runs/ledger-nano/numca --suite ledger-nano --out numca.html
      sveb report critic.jsonl --series
    """
    from rich.markup import escape

    from sveb.cli.console import out as console
    from sveb.cli.run_tables import results_table
    from sveb.publication import report as build
    from sveb.publication import report_series

    if series:
        page, points = report_series(run, out)
        console.print(f"{len(points)} steps on {escape(points[0].suite)}")
        console.print(f"[bold]report:[/] {escape(str(page))}", soft_wrap=True)
        return
    made = build(run, suite, out)
    rows = made.others | {made.run.name: made.run.results}
    console.print(results_table(list(rows.items()), made.run.name))
    for line in made.verdict:
        console.print(escape(line))
    console.print(f"[bold]report:[/] {escape(str(made.page))}", soft_wrap=True)
