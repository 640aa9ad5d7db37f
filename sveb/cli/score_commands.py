"""`sveb score`, `sveb compare` and `sveb selfcheck`: scores of predictions on disk, and a test of the scorer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sveb.cli.app import ALLOW_MISSING, RECORDED_SUITE, TRUTH, app
from sveb.common.errors import SvebError

if TYPE_CHECKING:
    from sveb.suite.suite import Suite

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
    from sveb.cli.console import out as console
    from sveb.cli.run_tables import remarks
    from sveb.cli.score_tables import metrics_table, slices_table
    from sveb.common.files import dump_json
    from sveb.evaluation import write_scores

    file = _predictions_file(predictions)
    target = out or file.with_name("results.json")
    before = target.read_text(encoding="utf-8") if target.is_file() else None
    results = write_scores(_suite(suite, file), file, target, allow_missing=allow_missing, truth=truth)
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
    from sveb.cli.console import out as console
    from sveb.cli.score_tables import differences_table, ranks_table, verdicts
    from sveb.score.compare import compare_all

    if len(predictions) < 2:
        raise SvebError("compare needs at least two predictions files or run folders: name one more")
    files = [_predictions_file(path) for path in predictions]
    named = dict(zip(_names(files), files, strict=True))
    found = compare_all(_suite(suite, files[0]), named, allow_missing=allow_missing)
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


def _predictions_file(path: Path) -> Path:
    file = path / "predictions.parquet" if path.is_dir() else path
    if not file.is_file():
        raise SvebError(f"{file} does not exist: expected a predictions file, or a run folder written by `sveb eval`")
    return file


def _names(files: list[Path]) -> list[str]:
    """A short name for each file: its run folder or its stem; the whole path where short names are equal."""
    short = [file.parent.resolve().name if file.name == "predictions.parquet" else file.stem for file in files]
    names = [name if short.count(name) == 1 else str(file) for name, file in zip(short, files, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise SvebError(f"{name} is given {names.count(name)} times: name each predictions file once")
    return names


def _suite(named: str | None, file: Path) -> Suite:
    from sveb.runs.predictions import Predictions
    from sveb.suite.suite import Suite

    if named is not None:
        return Suite.open(named)
    name = Predictions.read(file).info.suite.name
    try:
        return Suite.open(name)
    except SvebError as error:
        raise SvebError(
            f"{file} was made for the suite {name!r}, which is not on this machine: name its folder with --suite"
        ) from error
