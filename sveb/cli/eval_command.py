"""`sveb eval`: run an estimator and score it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import ALLOW_MISSING, ESTIMATOR, RUNS, SANDBOX, SET, SUITE, TRUTH, WORKERS, app, assignments


@app.command("eval")
def evaluate(
    estimator: Annotated[str, ESTIMATOR],
    suite: Annotated[str, SUITE] = "ledger-nano",
    set_: Annotated[list[str] | None, SET] = None,
    seed: Annotated[int, typer.Option(help="Seed of the estimator, of several the first.")] = 0,
    seeds: Annotated[int, typer.Option(help="Number of training seeds. The scores are means over them.")] = 1,
    runs: Annotated[Path, RUNS] = Path("runs"),
    allow_missing: Annotated[bool, ALLOW_MISSING] = False,
    baselines: Annotated[bool, typer.Option(help="Show the baselines in the same table.")] = True,
    sandbox: Annotated[bool | None, SANDBOX] = None,
    truth: Annotated[Path | None, TRUTH] = None,
    workers: Annotated[int | None, WORKERS] = None,
) -> None:
    """Run an estimator on a suite, score it, and show it next to the baselines.


    \b
    Examples:
      sveb eval group_mean
      sveb eval numca --set variant=official
      sveb eval mc --set k=4
      sveb eval critic --seeds 3
      sveb eval examples/my_estimator.py
      sveb eval examples/my_estimator.py:LengthAware --suite ledger-nano
      sveb eval examples/my_estimator.py --sandbox
    """
    from sveb import evaluation
    from sveb.cli.console import err, out
    from sveb.cli.progress_bars import problems_progress
    from sveb.cli.run_tables import remarks, results_table
    from sveb.harness.seed_runs import labelled
    from sveb.policies.workers import WORKERS_SET
    from sveb.suite.suite import Suite

    if workers is not None:
        os.environ[WORKERS_SET] = str(workers)
    opened = Suite.open(suite)
    params = assignments(set_)
    with problems_progress() as progress:
        bar = labelled(progress, estimator, seeds)

        def of_seed(number: int) -> Callable[[int, int], None]:
            if seeds > 1 and not err.is_terminal:
                err.print(f"{estimator}: seed {number}, {number - seed + 1} of {seeds}", highlight=False)
            return bar(number)

        mine = evaluation.evaluate(
            opened, estimator, params, runs, seed=seed, seeds=seeds, allow_missing=allow_missing, progress=of_seed,
            sandbox=sandbox, truth=truth,
        )  # fmt: skip
        others = evaluation.baselines(opened, runs, progress, truth) if baselines else []
    rows = {run.name: run.results for run in [*others, mine]}
    out.print(results_table(list(rows.items()), mine.name))
    for line in remarks(mine.results, evaluation.verdict(opened, mine, others, truth)):
        out.print(line)
    out.print(f"[bold]run:[/] {mine.folder}   next: sveb submit {mine.folder}")
