"""`sveb submit`: make a leaderboard entry from runs. In a terminal it asks for missing options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sveb.cli.app import RUNS, SUBMISSIONS, app
from sveb.common.errors import SvebError

if TYPE_CHECKING:
    from sveb.entries.metadata import Metadata

_DISCLOSURES = ("yes", "no", "unknown")


@app.command()
def submit(
    targets: Annotated[
        list[str], typer.Argument(help="Run folders written by `sveb eval`, or the file of an estimator.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the entry; default: the name of the run.")] = None,
    title: Annotated[str | None, typer.Option(help="Title on the leaderboard.")] = None,
    team: Annotated[str | None, typer.Option(help="Team or person.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="One author; may be repeated.")] = None,
    method: Annotated[str | None, typer.Option(help="What it does, in one or two sentences.")] = None,
    link: Annotated[list[str] | None, typer.Option(help="Address of a paper or of code; may be repeated.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the entry.")] = None,
    training_data_disclosure: Annotated[
        str | None, typer.Option(help="Is the training data disclosed: yes, no or unknown.")
    ] = None,
    hardware: Annotated[str | None, typer.Option(help="Hardware of the runs.")] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="A requirements.txt of packages that its code needs besides sveb.")
    ] = None,
    include: Annotated[list[Path] | None, typer.Option(help="A module or package that its code imports.")] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
) -> None:
    """Make leaderboard entries: one per run folder, or one for all runs of an estimator's file.


    \b
    Examples:
      sveb eval numca && sveb submit runs/ledger-nano/numca --submissions my-submissions
      sveb submit examples/my_estimator.py --name mine --submissions my-submissions
    """
    import datetime

    from sveb.entries.submit import make_entry, runs_of

    if len(targets) > 1 and (name or title or method):
        raise SvebError(
            "--name, --title and --method describe one entry, but several runs are named: submit them one by one"
        )
    found = [(target, runs_of(target, runs)) for target in targets]
    given: dict[str, Any] = {
        "name": name, "title": title, "team": team, "authors": author, "method": method, "links": link,
        "licence": licence, "training_data_disclosure": training_data_disclosure, "hardware": hardware,
    }  # fmt: skip
    if sys.stdin.isatty() and sys.stdout.isatty():
        given = _ask(given, found[0][1][0], submissions, single=len(targets) == 1)
    given = {key: value for key, value in given.items() if value is not None}
    date = datetime.datetime.now(datetime.UTC).date()
    for target, folders in found:
        # All runs of a file go into one entry, under the name of the first.
        together = {"name": Path(target.partition(".py")[0]).name.lower()} if len(folders) > 1 else {}
        for folder in folders:
            entry = make_entry(
                folder, submissions, date=date, requirements=requirements, include=include or [], **together | given
            )
        typer.echo(f"entry: {entry}")
    typer.echo(f"next: sveb validate {submissions} && sveb leaderboard build --submissions {submissions}")


def _ask(given: dict[str, Any], run: Path, submissions: Path, *, single: bool) -> dict[str, Any]:
    """The given options, and the answers to questions about missing ones. Nothing is written before the last answer."""
    from sveb.runs.run_folder import read_run

    about = read_run(run).results.info.estimator
    last = _last(submissions)
    who = last.team or "" if last else _git("user.name")
    questions = {
        "name": ("Name of the entry", run.resolve().name.lower().replace("=", "-")),
        "title": ("Title", run.resolve().name),
        "team": ("Team", who or "unknown"),
        "method": ("Method, in a sentence or two", about.description or "No description was given."),
        "licence": ("Licence", last.licence if last else "Apache-2.0"),
        "training_data_disclosure": ("Is the training data disclosed (yes, no, unknown)", "unknown"),
        "hardware": ("Hardware", last.hardware if last else "unknown"),
    }
    answers = dict(given)
    for key, (question, default) in questions.items():
        if given[key] is None and (single or key not in ("name", "title", "method")):
            if key == "team" and given["authors"]:
                continue
            answers[key] = typer.prompt(question, default=default)
            while key == "training_data_disclosure" and answers[key] not in _DISCLOSURES:
                answers[key] = typer.prompt(question, default=default)
    if given["links"] is None:
        link = typer.prompt("Link to a paper or code (Enter for none)", default="", show_default=False)
        answers["links"] = [link] if link else []
    return answers


def _last(submissions: Path) -> Metadata | None:
    """The metadata of the newest entry: its answers are the defaults of the questions."""
    from sveb.common.faults import FaultList
    from sveb.entries.metadata import read_metadata

    files = sorted(
        submissions.glob("[!.]*_*/metadata.toml"), key=lambda path: (path.parent.name[:10], path.stat().st_mtime)
    )
    return read_metadata(files[-1], FaultList(files[-1].name)) if files else None


def _git(key: str) -> str:
    try:
        done = subprocess.run(["git", "config", key], capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
