"""The page that sets any two entries of a suite against each other, problem by problem.

It holds each entry's squared error on each problem, and the paired differences that were computed ahead. Its size grows
with the entries, not with their pairs: for other pairs it names the command that compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Template

from sveb.runs.figures import BEST, NEIGHBOURS, BoardFigures
from sveb.runs.results import Estimate
from sveb.site.site_data import SuiteView, short
from sveb.suite.suite import Suite

_QUESTION_CHARACTERS = 140


def versus_page(template: Template, look: Mapping[str, Any], view: SuiteView, board: BoardFigures, suite: Suite) -> str:
    """The page of the entries whose predictions fit the suite, two at least."""
    return template.render(data=versus_data(view, board, suite), view=view, best=BEST, neighbours=NEIGHBOURS, **look)


def versus_data(view: SuiteView, board: BoardFigures, suite: Suite) -> dict[str, Any]:
    """What the page embeds; P problems that have path states.

    By entry, `error` (P,) is its mean squared error on each problem, the truth's noise included, and `file` its
    predictions. `pairs`: two places in `entries`, then mse and skill of the first less the second, each as value, low
    and high; skill is None where the suite has none, for the reason `no_skill`.
    """
    table = suite.table("problems", ["problem_id", "question"])
    questions = dict(zip(table["problem_id"].to_pylist(), table["question"].to_pylist(), strict=True))
    rows = [row for row in view.rows if row.entry.metadata.name in board.entries]
    place = {row.entry.metadata.name: i for i, row in enumerate(rows)}
    return {
        "suite": view.key,
        "explored": view.explored,
        "problems": [
            {"id": p, "states": n, "question": (questions.get(p) or "")[:_QUESTION_CHARACTERS]}
            for p, n in zip(board.problem_ids, board.path_states, strict=True)
        ],
        "no_skill": board.no_skill,
        "entries": [
            {
                "name": row.entry.metadata.name,
                "title": row.entry.metadata.title,
                "file": f"submissions/{row.entry.folder.name}/predictions/{view.key}.parquet",
                "missing": board.entries[row.entry.metadata.name].missing,
                "error": [short(x) for x in board.entries[row.entry.metadata.name].errors],
            }
            for row in rows
        ],
        "pairs": [
            [place[pair.a], place[pair.b], _triple(pair.mse), None if board.no_skill else _triple(pair.skill)]
            for pair in board.pairs
        ],
    }


def _triple(estimate: Estimate) -> list[float | None]:
    return [short(x) for x in (estimate.value, estimate.low, estimate.high)]
