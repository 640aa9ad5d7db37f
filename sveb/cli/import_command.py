"""`sveb import-hista`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import REVISION, app


@app.command("import-hista")
def import_hista(
    file: Annotated[Path, typer.Argument(help="A JSON file saved by the authors' scripts.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The policy of the records: its tokenizer is used.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the suite; default: suites/<file name>.")] = None,
    revision: Annotated[str | None, REVISION] = None,
    system: Annotated[str | None, typer.Option(help="System prompt with which the responses were sampled.")] = None,
) -> None:
    """Make a suite from the records of the HiSTA authors: their states, groups and true values.

    \b
    Examples:
      sveb import-hista sveb_math_S32_MCS20.json --model qwen2.5-1.5b
      sveb import-hista records.json --model ./Qwen2.5-3B-Instruct --out suites/hista-math
    """
    from sveb.cli.suite_tables import print_suite
    from sveb.generate.importers.hista_archive import SYSTEM
    from sveb.generate.importers.hista_archive import import_hista as run
    from sveb.generate.importers.hista_records import listed

    folder, warnings = run(
        file, model, out or Path("suites") / file.stem, revision=revision, system=SYSTEM if system is None else system
    )
    for what, records in warnings.items():
        typer.echo(f"warning: {what}: {listed(records)}", err=True)
    print_suite(folder)
