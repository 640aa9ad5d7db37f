"""`sveb models`: the named policies, and getting weights ahead of time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import ADAPTER, REVISION, models_app


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the named policies and the converted weights, or fetch weights.


    \b
    Examples:
      sveb models
      sveb models fetch smollm2-135m-q4
    """
    if context.invoked_subcommand is not None:
        return
    from sveb.cli.console import out
    from sveb.cli.listing_tables import conversions_table, models_table

    out.print(models_table())
    made = conversions_table()
    if made.row_count:
        out.print(made)


@models_app.command("fetch")
def models_fetch(
    model: Annotated[str, typer.Argument(help="A name from `sveb models`, a hub id, a folder or a GGUF file.")],
    revision: Annotated[str | None, REVISION] = None,
    adapter: Annotated[Path | None, ADAPTER] = None,
) -> None:
    """Download the weights of a model, and convert or merge them, before they are needed.

    Weights that are on this disk are checked and used as they are.


    \b
    Examples:
      sveb models fetch smollm2-135m-q4
      sveb models fetch weights.gguf --adapter my-lora
    """
    from sveb.policies.codec import TextCodec
    from sveb.policies.models import fetch_weights, find_model, with_adapter

    entry = find_model(with_adapter(model, adapter))
    weights = fetch_weights(entry.source, revision)
    TextCodec(weights.folder, entry.chat)  # raises if its tokenizer or its chat template cannot be used
    size = sum(path.stat().st_size for path in weights.folder.iterdir())
    typer.echo(f"{entry.name}: {size / 1e6:,.1f} MB in {weights.folder}, weights sha256 {weights.sha256}")
