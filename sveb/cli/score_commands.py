"""`sveb score`, `sveb compare` and `sveb selfcheck`: scores of predictions on disk, and a test of the scorer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import ALLOW_MISSING, RECORDED_SUITE, TRUTH, app

_PREDICTIONS = typer.Argument(help="A predictions file, or a run folder.")


@app.command()
def score(
    predictions: Annotated[Path, _PREDICTIONS],
    suite: Annotated[str | None, RECORDED_SUITE] = None,
    out: Annotated[
        Path | None, typer.Option(help="Results file; default: results.json in the folder of the predictions.")
    ] = None,
    allow_missing: Annotated[bool, ALLOW_MISSING] = False,
    truth: Annotated[Path | None, TRUTH] = None,
) -> None:
    """Score predictions again, without running the estimator. The same files give the same bytes.


    \b
    Examples:
      sveb eval numca && sveb score runs/ledger-nano/numca
      sveb score runs/ledger-nano/numca/predictions.parquet --suite ledger-nano --out scores.json
    """
    from sveb.api import predictions_file, suite_for
    from sveb.cli.console import out as console
    from sveb.cli.run_tables import remarks
    from sveb.cli.score_tables import metrics_table, slices_table
    from sveb.common.files import dump_json
    from sveb.evaluation import write_scores

    file = predictions_file(predictions)
    target = out or file.with_name("results.json")
    before = target.read_text(encoding="utf-8") if target.is_file() else None
    results = write_scores(suite_for(file, suite), file, target, allow_missing=allow_missing, truth=truth)
    console.print(metrics_table(results))
    console.print(slices_table(results))
    for line in remarks(results, None):
        console.print(line)
    same = {None: "new", dump_json(results.to_dict()) + "\n": "the same bytes as before"}.get(before, "changed")
    console.print(f"[bold]results:[/] {target} ({same})")


@app.command()
def compare(
    predictions: Annotated[list[Path], typer.Argument(help="Two or more predictions files or run folders.")],
    suite: Annotated[str | None, RECORDED_SUITE] = None,
    allow_missing: Annotated[bool, ALLOW_MISSING] = False,
) -> None:
    """Compare the first estimator with each of the others, paired on the same problems, and rank all of them.


    \b
    Examples:
      sveb eval numca && sveb compare runs/ledger-nano/numca runs/ledger-nano/group_mean
      sveb compare runs/ledger-nano/*
    """
    from sveb import api
    from sveb.cli.console import out as console
    from sveb.cli.score_tables import differences_table, ranks_table, verdicts

    found = api.compare(predictions, suite, allow_missing=allow_missing)
    console.print(ranks_table(found))
    console.print(differences_table(found))
    for line in verdicts(found):
        console.print(line)


@app.command()
def selfcheck(
    full: Annotated[bool, typer.Option(help="Use 1000 replications: takes minutes instead of seconds.")] = False,
) -> None:
    """Test the scorer on a simulated policy with known true values; exit code 1 if a claim fails.


    \b
    Examples:
      sveb selfcheck
      sveb selfcheck --full
    """
    from sveb.cli.console import out as console
    from sveb.cli.progress_bars import problems_progress
    from sveb.cli.score_tables import claims_table
    from sveb.score.selfcheck import selfcheck as run

    with problems_progress() as bar:
        bars: dict[str, Callable[[int, int], None]] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = bar(what)
            bars[what](done + 1, total)

        claims = list(run(progress, full=full))
    console.print(claims_table(claims))
    failed = [claim for claim in claims if not claim.holds]
    console.print(f"{len(claims) - len(failed)} of {len(claims)} claims hold")
    if failed:
        raise typer.Exit(1)
