"""`sveb suite`: list, show, verify, split, refresh and publish suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sveb.cli.app import JUDGE_FORMAT, JUDGE_MODEL, JUDGE_URL, NAMED_SUITE, SERVER_URL, SUBMISSIONS, WORKERS, suite_app

if TYPE_CHECKING:
    from sveb.generate.refresh import Refresh

_TRUTH = typer.Option("--truth", help="The private part of a split suite: check it, too.")


@suite_app.command("list")
def suite_list() -> None:
    """List the suites in ./suites and in the package."""
    from sveb.cli.console import out
    from sveb.cli.suite_tables import suites_table

    out.print(suites_table())


@suite_app.command("show")
def suite_show(suite: Annotated[str, NAMED_SUITE] = "ledger-nano") -> None:
    """Show what a suite contains and how its true values are distributed."""
    from sveb.cli.console import out
    from sveb.cli.suite_tables import suite_table
    from sveb.suite.suite import Suite

    out.print(suite_table(Suite.open(suite)))


@suite_app.command("verify")
def suite_verify(
    suite: Annotated[str, NAMED_SUITE] = "ledger-nano",
    truth: Annotated[Path | None, _TRUTH] = None,
) -> None:
    """Check every checksum, reference and statistic of a suite; list all errors."""
    from sveb.common.faults import refuse
    from sveb.suite.private_truth import Private
    from sveb.suite.suite import Suite
    from sveb.suite.verify_suite import verify

    opened = Suite.open(suite)
    private = None if truth is None else Private.open(truth, opened)
    faults = verify(opened, private)
    if faults:
        raise refuse(str(opened.path), faults)
    typer.echo(f"{opened.path}: valid; every checksum, reference and statistic is right")
    if private is not None:
        typer.echo(f"{private.folder}: valid; it is the private truth that the suite is committed to")
    elif opened.manifest.private:
        typer.echo(
            f"the truth of {len(opened.manifest.private_problems)} problems is private: check it, too, with --truth"
        )


@suite_app.command("split")
def suite_split(
    suite: Annotated[str, NAMED_SUITE],
    private: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the test problems whose truth becomes private.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the public suite; its name becomes the suite's name.")],
    secret: Annotated[Path, typer.Option(help="Folder of the private part. Never publish it.")],
    seed: Annotated[int, typer.Option(help="Seed of the choice of problems.")] = 0,
) -> None:
    """Split off the truth of some problems, so that nobody can fit an entry to it.


    \b
    Examples:
      sveb suite split ledger-nano --private 0.3 --out suites/nano-public --secret nano-private
      sveb eval numca --suite suites/nano-public --truth nano-private
      sveb score runs/nano-public/numca --suite suites/nano-public --truth nano-private
    """
    from sveb.cli.console import out as console
    from sveb.suite.split import split
    from sveb.suite.suite import Suite

    done = split(Suite.open(suite), private, out, secret, seed)
    console.print(f"{done.private} of {done.problems} test problems are private")
    if done.replayable:
        console.print(
            "[yellow]Their truth was sampled with the suite's own seed, which is public: anyone with the policy can "
            "sample it again.[/] To prevent this, run `sveb suite refresh` first and split the new version."
        )
    console.print(f"[bold]public suite:[/] {done.public}   [bold]private part:[/] {done.secret} (keep it secret)")


@suite_app.command("refresh")
def suite_refresh(
    suite: Annotated[str, NAMED_SUITE],
    out: Annotated[Path, typer.Option(help="Folder of the next version.")],
    continuations: Annotated[
        int | None, typer.Option(min=1, help="Truth continuations of every state (K); default: as before.")
    ] = None,
    audit: Annotated[
        int | None, typer.Option(min=0, help="Continuations of every state in the audit pool; default: as before.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the new truth; default: random.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="vllm, transformers, server or ray; default: the engine of the suite.")
    ] = None,
    server_url: Annotated[str | None, SERVER_URL] = None,
    workers: Annotated[int | None, WORKERS] = None,
    judge_url: Annotated[str | None, JUDGE_URL] = None,
    judge_model: Annotated[str | None, JUDGE_MODEL] = None,
    judge_format: Annotated[str, JUDGE_FORMAT] = "verdict",
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
) -> None:
    """Sample a fresh truth for the same states, as the next version, and show how the score of every entry changes.

    You can stop it at any time: the same command continues.


    \b
    Examples:
      sveb suite refresh ledger-nano --out suites/nano-1.1
      sveb suite refresh ledger-nano --out suites/nano-1.1-small --continuations 2 --engine transformers
    """
    from sveb.cli.console import out as console
    from sveb.cli.score_tables import drift_line, drift_table
    from sveb.cli.suite_tables import print_missing_grades
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
    _refresh(
        Refresh(old, out, continuations, audit, seed, engine, server_url, workers, judge_url, judge_model, judge_format)
    )
    new = Suite.open(out)
    names = [f"{each.name} {each.manifest.version}" for each in (old, new)]
    found = drift(old, new, scored)
    if found.entries:
        console.print(drift_table(found, *names))
    else:
        console.print(f"no entry in {submissions} has results on {names[0]}")
    console.print(drift_line(found))
    console.print(f"[bold]suite:[/] {out}, {names[1]}")
    print_missing_grades(out)


def _refresh(asked: Refresh) -> None:
    from sveb.cli.stopping import continuable
    from sveb.generate.refresh import refresh

    with continuable(asked.out) as progress:
        refresh(asked, progress)


@suite_app.command("regrade")
def suite_regrade(
    suite: Annotated[str, typer.Argument(help="Name or folder of a whole suite.")],
    out: Annotated[Path, typer.Option(help="Folder of the next version.")],
    judge_url: Annotated[str | None, typer.Option(help="Endpoint of the judge, if the task has one.")] = None,
    judge_model: Annotated[str | None, typer.Option(help="The judge's name there.")] = None,
    judge_format: Annotated[str, JUDGE_FORMAT] = "verdict",
) -> None:
    """Grade the texts that a suite keeps again, as its next version, and show what moved.

    Of the truth's continuations only the returns are kept: they stay as they are.


    \b
    Examples:
      sveb suite regrade suites/mine --out suites/mine-1.1
    """
    from sveb.cli.console import out as console
    from sveb.cli.console import table
    from sveb.generate.regrade_suite import regrade_suite
    from sveb.suite.suite import Suite
    from sveb.tasks.graders.judge_grader import judge_for
    from sveb.tasks.task import Task

    opened = Suite.open(suite)
    judge = judge_for(Task.load(opened.manifest.task["name"]), judge_url, judge_model, judge_format)
    found = regrade_suite(opened, out, judge)
    made = table("", "table", "graded", "moved", "from, to", right=("graded", "moved"))
    for name, moves in found.moves.items():
        moved = {pair: count for pair, count in moves.items() if pair[0] != pair[1]}
        shown = ", ".join(f"{old} to {new}: {count}" for (old, new), count in moved.items())
        made.add_row(name, f"{moves.total():,}", f"{sum(moved.values()):,}", shown or "none")
    console.print(made)
    console.print(f"{found.kept:,} continuations of the truth keep their returns: their texts are not stored")
    console.print(f"[bold]suite:[/] {out}")


@suite_app.command("push")
def suite_push(
    suite: Annotated[str, NAMED_SUITE],
    to: Annotated[str, typer.Option(help="hf://datasets/ORG/NAME, or a folder.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private dataset.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify the suite and list the files; send nothing.")
    ] = False,
) -> None:
    """Publish a suite as a dataset on the Hugging Face hub, or copy it to a folder.


    \b
    Examples:
      sveb suite push ledger-nano --to hf://datasets/my-org/ledger-nano --dry-run
      sveb suite push ledger-nano --to /tmp/ledger-nano
    """
    from sveb.cli.console import out
    from sveb.cli.suite_tables import upload_table
    from sveb.suite.publish import prepare, push
    from sveb.suite.suite import Suite

    upload = prepare(Suite.open(suite), to)
    out.print(upload_table(upload))
    if dry_run:
        out.print("dry run: nothing was sent")
    else:
        out.print(f"[bold]suite:[/] {push(upload, private=private)}")


@suite_app.command("export")
def suite_export(
    kind: Annotated[str, typer.Option("--as", help="prm, value-head, math-shepherd or parquet.")],
    suite: Annotated[str, NAMED_SUITE] = "ledger-nano",
    out: Annotated[Path | None, typer.Option(help="The file; default: <suite>-<format>.jsonl or .parquet.")] = None,
) -> None:
    """Write states and true values as training data: prefix, soft label and standard error.

    \b
    Examples:
      sveb suite export ledger-nano --as prm
      sveb suite export suites/mine --as parquet --out values.parquet
    """
    from sveb.suite.export import export
    from sveb.suite.suite import Suite

    opened = Suite.open(suite)
    target = out or Path(f"{opened.name}-{kind}.{'parquet' if kind == 'parquet' else 'jsonl'}")
    typer.echo(f"{target}: {export(opened, kind, target)} rows of {opened.name}")
