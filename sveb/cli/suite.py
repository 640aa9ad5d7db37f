"""`sveb suite`."""

from __future__ import annotations

from typing import Annotated

import typer

from sveb.cli.app import suite_app


@suite_app.command("list")
def suite_list() -> None:
    """Suites under ./suites and in the package."""
    from sveb.console.base import out
    from sveb.console.listing import suites_table

    out.print(suites_table())


@suite_app.command("show")
def suite_show(suite: Annotated[str, typer.Argument(help="Name or folder.")] = "ledger-nano") -> None:
    """What a suite holds, and how its values spread."""
    from sveb.console.base import out
    from sveb.console.listing import suite_table
    from sveb.core.suite import Suite

    out.print(suite_table(Suite.open(suite)))


@suite_app.command("verify")
def suite_verify(suite: Annotated[str, typer.Argument(help="Name or folder.")] = "ledger-nano") -> None:
    """Recompute every checksum, reference and statistic of a suite."""
    from sveb.core.faults import refuse
    from sveb.core.suite import Suite
    from sveb.core.verify import verify

    opened = Suite.open(suite)
    faults = verify(opened)
    if faults:
        raise refuse(str(opened.path), faults)
    typer.echo(f"{opened.path}: whole; every checksum, reference and statistic holds")


@suite_app.command("push")
def suite_push(
    suite: Annotated[str, typer.Argument(help="Name or folder.")],
    to: Annotated[str, typer.Option(help="hf://datasets/ORG/NAME, or a folder.")],
    private: Annotated[bool, typer.Option("--private", help="Create the dataset as a private one.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify, and list what would be sent.")] = False,
) -> None:
    """Publish a whole suite as a dataset of the Hugging Face hub, or copy it to a folder.


    \b
    Examples:
      sveb suite push ledger-nano --to hf://datasets/my-org/ledger-nano --dry-run
      sveb suite push ledger-nano --to /tmp/ledger-nano
    """
    from sveb.console.base import out
    from sveb.console.listing import upload_table
    from sveb.core.publish import prepare, push
    from sveb.core.suite import Suite

    upload = prepare(Suite.open(suite), to)
    out.print(upload_table(upload))
    if dry_run:
        out.print("dry run: nothing was sent")
    else:
        out.print(f"[bold]suite:[/] {push(upload, private=private)}")
