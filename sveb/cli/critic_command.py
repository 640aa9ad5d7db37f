"""`sveb critic export`: a critic that was trained here, for a trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import RECORDED_SUITE, critic_app


@critic_app.command("export")
def export(
    run: Annotated[Path, typer.Argument(help="The run folder of a critic that `sveb eval critic` trained.")],
    to: Annotated[str, typer.Option(help="The trainer: verl, openrlhf or trl.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: <run>/<trainer>.")] = None,
    suite: Annotated[str | None, RECORDED_SUITE] = None,
) -> None:
    """Write a trained critic as the checkpoint that a trainer starts from.


    \b
    Examples:
      sveb eval critic --set epochs=2
      sveb critic export runs/ledger-nano/critic-epochs=2 --to verl --out critic-verl
      sveb eval critic_checkpoint --set path=critic-verl
    """
    from rich.markup import escape

    from sveb.api import export_critic
    from sveb.cli.console import out as console

    written = export_critic(run, to, out, suite)
    settings = " ".join(f"--set {name}={value}" for name, value in written.settings.items())
    console.print(f"[bold]critic:[/] {escape(str(written.folder))}", soft_wrap=True)
    console.print(f"score it: sveb eval critic_checkpoint {escape(settings)}", soft_wrap=True)
    if "shift" in written.settings:
        console.print(f"{to} has no bias in its head, so its values are lower by {written.settings['shift']}")
