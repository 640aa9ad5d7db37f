"""`sveb import-hista`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import app


@app.command("import-hista")
def import_hista(
    file: Annotated[Path, typer.Argument(help="A JSON file that the authors' scripts saved.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The policy it is of: its tokenizer cuts the texts.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<file's name>.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub model.")] = None,
    system: Annotated[str | None, typer.Option(help="System prompt that the responses were sampled under.")] = None,
) -> None:
    """Turn the authors' records into a suite: their states, groups and truth means, under protocol paper.

    \b
    Examples:
      sveb import-hista sveb_math_S32_MCS20.json --model qwen2.5-1.5b
      sveb import-hista records.json --model ./Qwen2.5-3B-Instruct --out suites/hista-math
    """
    from sveb.cli.console import out as console
    from sveb.cli.listing_tables import suite_table
    from sveb.generate.importers.hista_archive import SYSTEM
    from sveb.generate.importers.hista_archive import import_hista as run
    from sveb.generate.importers.hista_records import listed
    from sveb.suite.suite import Suite

    folder, warnings = run(
        file, model, out or Path("suites") / file.stem, revision=revision, system=SYSTEM if system is None else system
    )
    console.print(suite_table(Suite.open(folder)))
    for what, records in warnings.items():
        typer.echo(f"warning: {what}: {listed(records)}", err=True)
    console.print(f"[bold]suite:[/] {folder}   next: sveb eval group_mean --suite {folder}")
