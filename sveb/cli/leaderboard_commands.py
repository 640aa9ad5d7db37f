"""`sveb leaderboard`: build the site and serve it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import SUBMISSIONS, leaderboard_app


@leaderboard_app.command("build")
def leaderboard_build(
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
    out: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("leaderboard"),
    suites: Annotated[
        list[Path] | None,
        typer.Option(help="A suite's folder, or a folder of suites, besides ./suites; may be repeated."),
    ] = None,
    figures: Annotated[
        Path, typer.Option(help="Folder of computed figures: they are computed again only where something changed.")
    ] = Path("runs/figures"),
) -> None:
    """Build the leaderboard from all entries. Its index.html opens from disk, without a network.

    Joint ranks, reports, comparisons and value traces need the truth of a suite. They are shown for the suite versions
    that are on this machine; add folders of older versions with --suites.


    \b
    Examples:
      sveb leaderboard build --out site
    """
    from sveb.publication import build

    typer.echo(f"page: {build(submissions, out, suites or [], figures)}")


@leaderboard_app.command("serve")
def leaderboard_serve(
    folder: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("leaderboard"),
    port: Annotated[int, typer.Option(help="Port; 0 chooses a free one.")] = 8000,
) -> None:
    """Serve the built site on 127.0.0.1 until Ctrl-C."""
    from sveb.site.serve import serve

    serve(folder, port, typer.echo)
