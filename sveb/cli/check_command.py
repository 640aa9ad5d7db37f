"""`sveb check`: does an estimator follow the contract?"""

from __future__ import annotations

from typing import Annotated

import typer

from sveb.cli.app import ESTIMATOR, SANDBOX, SET, app, assignments


@app.command()
def check(
    estimator: Annotated[str, ESTIMATOR],
    set_: Annotated[list[str] | None, SET] = None,
    sandbox: Annotated[bool | None, SANDBOX] = None,
) -> None:
    """Check on a tiny suite that an estimator follows the contract; exit code 1 if it does not.

    \b
    Examples:
      sveb check examples/my_estimator.py
      sveb check examples/my_estimator.py --set strength=0.2
      sveb check numca --set variant=official
    """
    from rich.markup import escape

    from sveb.cli.check_report import report_table, summary
    from sveb.cli.console import err, out
    from sveb.harness.conformance.examination import check as examine

    params = assignments(set_)
    with err.status(f"checking {escape(estimator)}"):
        report = examine(estimator, params, sandbox)
    out.print(report_table(report))
    for line in summary(report):
        out.print(line)
    if report.failed:
        raise typer.Exit(1)
