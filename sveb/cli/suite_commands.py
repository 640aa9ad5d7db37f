"""`sveb suite`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sveb.cli.app import SUBMISSIONS, suite_app

if TYPE_CHECKING:
    from sveb.generate.refresh import Refresh

_TRUTH = typer.Option("--truth", help="The private part of a split suite: check it against the commitment.")


@suite_app.command("list")
def suite_list() -> None:
    """Suites under ./suites and in the package."""
    from sveb.cli.console import out
    from sveb.cli.listing_tables import suites_table

    out.print(suites_table())


@suite_app.command("show")
def suite_show(suite: Annotated[str, typer.Argument(help="Name or folder.")] = "ledger-nano") -> None:
    """What a suite holds, and how its values spread."""
    from sveb.cli.console import out
    from sveb.cli.listing_tables import suite_table
    from sveb.suite.suite import Suite

    out.print(suite_table(Suite.open(suite)))


@suite_app.command("verify")
def suite_verify(
    suite: Annotated[str, typer.Argument(help="Name or folder.")] = "ledger-nano",
    truth: Annotated[Path | None, _TRUTH] = None,
) -> None:
    """Recompute every checksum, reference and statistic of a suite."""
    from sveb.common.faults import refuse
    from sveb.suite.private_truth import Private
    from sveb.suite.suite import Suite
    from sveb.suite.verify_suite import verify

    opened = Suite.open(suite)
    private = None if truth is None else Private.open(truth, opened)
    faults = verify(opened, private)
    if faults:
        raise refuse(str(opened.path), faults)
    typer.echo(f"{opened.path}: whole; every checksum, reference and statistic holds")
    if private is not None:
        typer.echo(f"{private.folder}: the truth that it is committed to, and fits it")
    elif opened.manifest.private:
        typer.echo(
            f"the truth of {len(opened.manifest.private_problems)} problems is kept apart: check it with --truth"
        )


@suite_app.command("split")
def suite_split(
    suite: Annotated[str, typer.Argument(help="Name or folder of the whole suite.")],
    private: Annotated[float, typer.Option(min=0, max=1, help="Share of the test problems to keep apart.")],
    out: Annotated[Path, typer.Option(help="Folder of the public suite, which is named after it.")],
    secret: Annotated[Path, typer.Option(help="Folder of the private part. Never publish it.")],
    seed: Annotated[int, typer.Option(help="Of the choice of problems.")] = 0,
) -> None:
    """Keep the truth of some problems apart, so that nobody can submit what was fitted to it.


    \b
    Examples:
      sveb suite split suites/mine --private 0.3 --out suites/mine-public --secret ~/mine-private
      sveb eval numca --suite suites/mine-public --truth ~/mine-private
    """
    from sveb.cli.console import out as console
    from sveb.generate.split import split
    from sveb.suite.suite import Suite

    done = split(Suite.open(suite), private, out, secret, seed)
    console.print(f"{done.private} of {done.problems} test problems are private")
    if done.replayable:
        console.print(
            "[yellow]Their truth was drawn with the suite's own seed, which is public: whoever has the policy can draw "
            "the same again.[/] To prevent that: `sveb suite refresh` first, then split the new version."
        )
    console.print(f"[bold]public suite:[/] {done.public}   [bold]private part:[/] {done.secret}, keep it secret")


@suite_app.command("refresh")
def suite_refresh(
    suite: Annotated[str, typer.Argument(help="Name or folder of a whole suite.")],
    out: Annotated[Path, typer.Option(help="Folder of the next version.")],
    continuations: Annotated[
        int | None, typer.Option(min=1, help="Continuations of every state (K); default: as many as before.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the new truth; default: a random one.")] = None,
    engine: Annotated[str | None, typer.Option(help="vllm, transformers, server or ray; default: the suite's.")] = None,
    server_url: Annotated[str | None, typer.Option(help="With --engine server: http://host:port.")] = None,
    judge_url: Annotated[str | None, typer.Option(help="Endpoint of the judge that graded the suite, if any.")] = None,
    judge_model: Annotated[str | None, typer.Option(help="The judge's name there.")] = None,
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
) -> None:
    """Draw a fresh truth on the same states, as the next version, and show what it does to every entry.

    Stopped at any moment, the same command continues where it was.


    \b
    Examples:
      sveb suite refresh suites/mine --out suites/mine-1.1
      sveb suite refresh suites/mine --out suites/mine-1.1 --continuations 128 --engine transformers
    """
    from sveb.cli.console import out as console
    from sveb.cli.score_tables import drift_line, drift_table
    from sveb.entries.entry import read_entries
    from sveb.generate.refresh import Refresh
    from sveb.score.drift import drift
    from sveb.suite.suite import Suite

    old = Suite.open(suite)
    entries = read_entries(submissions) if submissions.is_dir() else []
    scored = {
        entry.metadata.name: entry.folder / "predictions" / f"{key}.parquet"
        for entry in entries
        for key, results in entry.results.items()
        if results.info.suite.checksum == old.checksum
    }
    _refresh(Refresh(old, out, continuations, seed, engine, server_url, judge_url, judge_model))
    new = Suite.open(out)
    names = [f"{each.name} {each.manifest.version}" for each in (old, new)]
    found = drift(old, new, scored)
    if found.entries:
        console.print(drift_table(found, *names))
    else:
        console.print(f"no entry in {submissions} was scored on {names[0]}")
    console.print(drift_line(found))
    console.print(f"[bold]suite:[/] {out}, {names[1]}")
    if (out / "work").is_dir():
        console.print(f"[yellow]Some grades are missing.[/] The same command tries them once more, by {out / 'work'}")


def _refresh(asked: Refresh) -> None:
    from sveb.cli.stopping import continuable
    from sveb.generate.refresh import refresh

    with continuable(asked.out) as progress:
        refresh(asked, progress)


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
    from sveb.cli.console import out
    from sveb.cli.listing_tables import upload_table
    from sveb.suite.publish import prepare, push
    from sveb.suite.suite import Suite

    upload = prepare(Suite.open(suite), to)
    out.print(upload_table(upload))
    if dry_run:
        out.print("dry run: nothing was sent")
    else:
        out.print(f"[bold]suite:[/] {push(upload, private=private)}")
