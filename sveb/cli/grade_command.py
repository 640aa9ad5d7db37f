"""`sveb grade`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sveb.cli.app import JUDGE_FORMAT, app

if TYPE_CHECKING:
    from rich.table import Table

    from sveb.tasks.pairs import GradedPair

_MOST_SHOWN = 60  # characters of a text in a table


@app.command()
def grade(
    pairs: Annotated[Path, typer.Option(help="A jsonl file: reference, and response or response_answer, in each row.")],
    task: Annotated[
        str | None, typer.Option(help="A name of `sveb tasks`: its grader and where its answers stand.")
    ] = None,
    grader: Annotated[str | None, typer.Option(help="number, option, boolean, math, program or judge.")] = None,
    extract: Annotated[
        str | None, typer.Option(help="With --grader: boxed, hashes or code; default: code for program, else boxed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, in the order of the rows.")] = False,
    judge_url: Annotated[str | None, typer.Option(help="Endpoint of the judge, if the grader is one.")] = None,
    judge_model: Annotated[str | None, typer.Option(help="The judge's name there.")] = None,
    judge_format: Annotated[str, JUDGE_FORMAT] = "verdict",
) -> None:
    """Grade responses against references, and say why.

    A row that cannot be graded has no return (null); this is not 0. If rows contain the expected return, a summary
    compares it with the grader's.


    \b
    Examples:
      sveb grade --grader number --pairs pairs.jsonl
      sveb grade --task math500 --pairs pairs.jsonl --json
    """
    from sveb.cli.console import err, out
    from sveb.common.errors import SvebError
    from sveb.tasks.graders.judge_grader import judge_for
    from sveb.tasks.pairs import grade_pairs, plain_task, read_pairs
    from sveb.tasks.task import Task

    if task is not None and (grader is not None or extract is not None):
        raise SvebError("--task names a grader and where answers stand: leave out --grader and --extract")
    chosen = Task.load(task) if task is not None else plain_task(grader, extract) if grader is not None else None
    rows = read_pairs(pairs)
    judged = chosen or next((plain_task("judge") for row in rows if row.grader == "judge"), plain_task("number"))
    judge = judge_for(judged, judge_url, judge_model, judge_format)
    graded = []
    for found in grade_pairs(rows, chosen, judge, extract):
        graded.append(found)
        if as_json:
            typer.echo(json.dumps(found.to_dict()))
    if not as_json:
        out.print(_pairs_table(graded))
    if any(found.pair.has_expected for found in graded):
        for made in _summary(graded):
            (err if as_json else out).print(made)


def _pairs_table(graded: list[GradedPair]) -> Table:
    from rich.markup import escape

    from sveb.cli.console import table

    made = table("", "row", "return", "reference", "answer", "reason", right=("row", "return"))
    for found in graded:
        made.add_row(
            str(found.pair.row), _shown(found.return_), escape(_short(found.pair.problem.answer)),
            escape(_short(found.answer)), escape(_printable(found.reason)),
        )  # fmt: skip
    return made


def _summary(graded: list[GradedPair]) -> list[Table]:
    """How often each return was given where another was said to be right; and the rows that differ."""
    from sveb.cli.console import table

    compared = [found for found in graded if found.pair.has_expected]
    counts = Counter((_shown(found.pair.expected), _shown(found.return_)) for found in compared)
    given = sorted({return_ for _, return_ in counts})
    agree = sum(not found.differs for found in compared)
    confusion = table(
        f"{agree} of {len(compared)} returns as expected", "expected", *(f"graded {each}" for each in given),
        right=[f"graded {each}" for each in given],
    )  # fmt: skip
    for expected in sorted({expected for expected, _ in counts}):
        confusion.add_row(expected, *(str(counts[expected, each]) for each in given))
    differing = [found for found in compared if found.differs]
    if not differing:
        return [confusion]
    rows = _pairs_table(differing)
    rows.title = "rows that differ"
    return [confusion, rows]


def _shown(return_: float | None) -> str:
    return "missing" if return_ is None else f"{return_:g}"


def _short(text: str | None) -> str:
    if text is None:
        return "(none)"
    line = " ".join(_printable(text).split())
    return line if len(line) <= _MOST_SHOWN else line[: _MOST_SHOWN - 3] + "..."


def _printable(text: str) -> str:
    """With a question mark for half a surrogate pair, which no terminal can show."""
    return text.encode(errors="replace").decode()
