"""`sveb tasks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import DATA, JUDGE_FORMAT, JUDGE_MODEL, JUDGE_URL, SAMPLE, SUITE, tasks_app


@tasks_app.callback(invoke_without_command=True)
def tasks(context: typer.Context) -> None:
    """List the tasks, or check one.


    \b
    Examples:
      sveb tasks
      sveb tasks check gsm8k --sample
    """
    if context.invoked_subcommand is not None:
        return
    from sveb.cli.console import out
    from sveb.cli.listing_tables import tasks_table

    out.print(tasks_table())


@tasks_app.command("check")
def tasks_check(
    name: Annotated[str, typer.Argument(help="A name from `sveb tasks`.")],
    data: Annotated[Path | None, DATA] = None,
    sample: Annotated[bool, SAMPLE] = False,
    judge_url: Annotated[str | None, JUDGE_URL] = None,
    judge_model: Annotated[str | None, JUDGE_MODEL] = None,
    judge_format: Annotated[str, JUDGE_FORMAT] = "verdict",
) -> None:
    """Check a task's grader: every reference answer must score 1, and an altered one must score 0.

    Lists each row that fails; exit code 1 if a row fails.


    \b
    Examples:
      sveb tasks check countdown
      sveb tasks check math500 --sample
      sveb tasks check bbh_logic --sample
    """
    from sveb.cli.progress_bars import problems_progress
    from sveb.tasks.goldens import check
    from sveb.tasks.graders.judge_grader import judge_for
    from sveb.tasks.problems import data_file
    from sveb.tasks.task import Task

    task = Task.load(name)
    judge = judge_for(task, judge_url, judge_model, judge_format)
    with problems_progress() as bar:
        found = check(task, data_file(task, data, sample), bar(name), judge)
    for split, row, fault in found.faults:
        typer.echo(f"{'' if split == 'all' else f'{split} '}row {row}: {fault}")
    for reason, count in found.ungraded.items():
        typer.echo(f"not graded, {count} times: {reason}")
    left_out = "".join(f"; {count} rows {reason}" for reason, count in found.left_out.items() if count)
    typer.echo(
        f"{name}: {found.gold_right} of {found.problems} references score 1, "
        f"{found.altered_wrong} of {found.problems} altered ones score 0{left_out}"
    )
    if found.faults:
        raise typer.Exit(1)


@tasks_app.command("audit")
def tasks_audit(
    name: Annotated[str, typer.Argument(help="A name of `sveb tasks`.")],
    suite: Annotated[str, SUITE],
    samples: Annotated[int, typer.Option(min=2, help="Graded responses to look at, half of them 0s.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the choice.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The page; default: audit-NAME.html.")] = None,
) -> None:
    """Look for wrong grades in a suite: 0s that equal the reference, and 1s that are written differently.


    \b
    Examples:
      sveb tasks audit ledger --suite ledger-nano
    """
    from sveb.cli.audit_page import rate_text, write_audit
    from sveb.common.errors import SvebError
    from sveb.suite.suite import Suite
    from sveb.tasks.audit import audit
    from sveb.tasks.stored_responses import stored_problems, stored_responses
    from sveb.tasks.task import Task

    opened = Suite.open(suite)
    if opened.manifest.task["name"] != name:
        raise SvebError(
            f"{suite} is a suite of the task {opened.manifest.task['name']!r}: audit that one, not {name!r}"
        )
    found = audit(Task.of_suite(opened.manifest.task), stored_problems(opened), stored_responses(opened), samples, seed)
    path = out or Path(f"audit-{name}.html")
    if path.is_dir():
        raise SvebError(f"--out {path} is a folder: expected the name of a file")
    write_audit(path, f"Grades of {name} in {opened.name}", found)
    typer.echo(f"{found.sampled} graded responses were looked at")
    typer.echo(f"suspected right answers refused: {rate_text(found.false_negatives)} of the 0s")
    typer.echo(f"suspected wrong answers paid: {rate_text(found.false_positives)} of the 1s")
    typer.echo(f"page: {path}")
