"""`sveb eval` and `sveb submit`: from an estimator to a leaderboard entry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import ESTIMATOR, RUNS, SANDBOX, SET, SUBMISSIONS, SUITE, TRUTH, app, assignments
from sveb.core.errors import SvebError


@app.command("eval")
def evaluate(
    estimator: Annotated[str, ESTIMATOR],
    suite: Annotated[str, SUITE] = "ledger-nano",
    set_: Annotated[list[str] | None, SET] = None,
    seed: Annotated[int, typer.Option(help="The estimator's seed.")] = 0,
    runs: Annotated[Path, RUNS] = Path("runs"),
    allow_missing: Annotated[bool, typer.Option(help="Count missing predictions, replaced by the mean.")] = False,
    baselines: Annotated[bool, typer.Option(help="Show the baselines beside it.")] = True,
    sandbox: Annotated[bool | None, SANDBOX] = None,
    truth: Annotated[Path | None, TRUTH] = None,
) -> None:
    """Score an estimator on a suite, beside the baselines.


    \b
    Examples:
      sveb eval group_mean
      sveb eval numca --set variant=official
      sveb eval mc --set k=4
      sveb eval examples/my_estimator.py
      sveb eval examples/my_estimator.py:LengthAware --suite ledger-nano
      sveb eval examples/my_estimator.py --sandbox
      sveb eval submissions/theirs/estimator.py --suite suites/mine-public --truth secret
    """
    from sveb import evaluation
    from sveb.console.base import out
    from sveb.console.progress import problems_progress
    from sveb.console.results import remarks, results_table
    from sveb.core.suite import Suite

    opened = Suite.open(suite)
    params = assignments(set_)
    with problems_progress() as progress:
        mine = evaluation.evaluate(
            opened, estimator, params, runs, seed=seed, allow_missing=allow_missing, progress=progress(estimator),
            sandbox=sandbox, truth=truth,
        )  # fmt: skip
        others = evaluation.baselines(opened, runs, progress, truth) if baselines else []
    rows = {run.name: run.results for run in [*others, mine]}
    out.print(results_table(list(rows.items()), mine.name))
    for line in remarks(mine.results, evaluation.verdict(opened, mine, others, truth)):
        out.print(line)
    out.print(f"[bold]run:[/] {mine.folder}   next: sveb submit {mine.folder}")


@app.command()
def submit(
    runs: Annotated[list[Path], typer.Argument(help="Run folders that `sveb eval` has left.")],
    name: Annotated[str | None, typer.Option(help="The entry's name; default: the run's.")] = None,
    title: Annotated[str | None, typer.Option(help="Shown on the page.")] = None,
    team: Annotated[str | None, typer.Option(help="Who made it.")] = None,
    method: Annotated[str | None, typer.Option(help="One or two sentences.")] = None,
    link: Annotated[list[str] | None, typer.Option(help="Paper or code; may be repeated.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the entry.")] = "Apache-2.0",
    training_data_disclosure: Annotated[
        str, typer.Option(help="Is the training data known: yes, no, unknown.")
    ] = "unknown",
    hardware: Annotated[str, typer.Option(help="What it ran on.")] = "unknown",
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
) -> None:
    """Make leaderboard entries from runs, one a run folder.

    \b
    Examples:
      sveb eval numca && sveb submit runs/ledger-nano/numca --submissions my-submissions
    """
    import datetime

    from sveb.leaderboard.submit import make_entry

    if len(runs) > 1 and (name or title or method):
        raise SvebError("--name, --title and --method describe one entry: submit the runs one by one")
    for run in runs:
        entry = make_entry(
            run, submissions, date=datetime.datetime.now(datetime.UTC).date(), name=name, title=title, team=team,
            method=method, links=link or [], licence=licence, training_data_disclosure=training_data_disclosure,
            hardware=hardware,
        )  # fmt: skip
        typer.echo(f"entry: {entry}")
    typer.echo(f"next: sveb leaderboard build --submissions {submissions}")
