"""`sveb validate`, `sveb reproduce` and `sveb verify`: checks of leaderboard entries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import RECORDED_SUITE, SUBMISSIONS, TRUTH, app
from sveb.common.errors import SvebError

_UNCONFINED = typer.Option("--unconfined", help="Run its code outside the sandbox; read the code first.")


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="A folder of entries, or one entry.")] = Path("submissions"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for CI.")] = False,
) -> None:
    """Check entries and list all faults, without running their code; exit code 1 if there are errors.


    \b
    Examples:
      sveb validate
      sveb validate submissions/2026-11-28_numca
      sveb validate submissions --json
    """
    import json
    from dataclasses import asdict

    from sveb.entries.validate import validate as run

    found = run(path)
    errors = len(found.errors)
    warnings = len(found.faults) - errors
    if as_json:
        faults = [asdict(fault) for fault in found.faults]
        counts = {"entries": found.entries, "errors": errors, "warnings": warnings}
        typer.echo(json.dumps(counts | {"faults": faults}, indent=1))
    else:
        from sveb.cli.console import out
        from sveb.cli.fault_table import faults_table

        if found.faults:
            out.print(faults_table(found.faults))
        out.print(f"{found.entries} entries: {errors} errors, {warnings} warnings", highlight=False)
    if errors:
        raise typer.Exit(1)


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="Name or folder of an entry.")],
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
    suite: Annotated[str | None, RECORDED_SUITE] = None,
    out: Annotated[Path, typer.Option(help="Folder for the new runs.")] = Path("runs/reproduced"),
    site: Annotated[Path | None, typer.Option(help="A built site: compare the page of the entry, too.")] = None,
    unconfined: Annotated[bool, _UNCONFINED] = False,
) -> None:
    """Repeat an entry's runs from its stored code and settings, and compare every byte; exit code 1 if one differs.

    Measured times are taken from the entry, because they differ in every run; the new times are shown next to them.


    \b
    Examples:
      sveb reproduce numca
      sveb reproduce mc-k-4 --site leaderboard
    """
    from sveb.cli.progress_bars import problems_progress
    from sveb.entries.reproduce import find_entry
    from sveb.entries.reproduce import reproduce as run
    from sveb.publication import same_page

    entry = find_entry(submissions, name)
    with problems_progress() as progress:
        found = run(entry, out, suite=suite, unconfined=unconfined, progress=progress)
    for each in found:
        made, cost = each.run, entry.results[each.key].info.cost
        typer.echo(f"{each.key}: {made.states} values, {made.apart} differ, at most by {made.largest_difference:.3g}")
        for what, same in (("predictions", each.predictions_same), ("results", each.results_same)):
            typer.echo(f"  {what}: {'the same bytes' if same else 'DIFFERENT BYTES'}")
        if made.otherwise:
            typer.echo(f"  DIFFERENT in {', '.join(made.otherwise)}")
        now = made.info.cost.wall_s_per_state * 1000
        typer.echo(f"  milliseconds per state: {cost.wall_s_per_state * 1000:.3g} then, {now:.3g} now")
        typer.echo(f"  run: {each.folder}")
    same = all(each.same for each in found)
    if site is not None:
        page = same_page(entry, found, site)
        typer.echo(f"page: {'the same bytes' if page else 'DIFFERENT BYTES'}")
        same = same and page
    if not same:
        raise typer.Exit(1)


@app.command()
def verify(
    names: Annotated[list[str], typer.Argument(help="Names or folders of entries.")],
    submissions: Annotated[Path, SUBMISSIONS] = Path("submissions"),
    suite: Annotated[str | None, RECORDED_SUITE] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Largest allowed difference of values; 0 for estimators that only depend on their seed."
        ),
    ] = 0.0,
    unconfined: Annotated[bool, _UNCONFINED] = False,
    truth: Annotated[Path | None, TRUTH] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the tier to verified.json; for maintainers.")] = False,
) -> None:
    """Run entries in the sandbox, compare values and scores, and show the tier; exit code 1 if one fails.


    \b
    Examples:
      sveb verify submissions/2026-11-28_numca
      sveb verify numca mc-k-4 --write
      sveb verify numca --suite suites/mine-public --truth secret --write
    """
    from sveb.cli.fault_table import plain
    from sveb.cli.progress_bars import problems_progress
    from sveb.entries.reproduce import find_entry
    from sveb.entries.verification_records import SELF_REPORTED, read_records
    from sveb.entries.verify_entry import verify as run

    weak = False
    for name in names:
        entry = find_entry(submissions, name)
        with problems_progress() as progress:
            found = run(entry, tolerance=tolerance, suite=suite, unconfined=unconfined, truth=truth, progress=progress)
        if not found:
            raise SvebError(
                f"{name} has no results on a split suite, which --truth needs: leave it out, or score the entry there"
            )
        for each in found:
            weak |= each.record.tier == SELF_REPORTED
            typer.echo(f"{entry.metadata.name} on {each.key}: {each.record.tier}")
            for line in [*each.lines, *([each.record.reason] if each.record.reason else [])]:
                typer.echo(f"  {plain(line)}")
        if write:
            records = read_records(entry.folder.parent)
            for each in found:
                records = records.with_record(entry.metadata.name, each.key, each.record)
            typer.echo(f"record: {records.write(entry.folder.parent)}")
    if weak:
        raise typer.Exit(1)
