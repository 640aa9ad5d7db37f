"""A suite's explorer as one self-contained file of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Template

from sveb.runs.figures import BoardFigures
from sveb.site.site_data import Row, SuiteView
from sveb.site.traces import TracedProblem, explorer_data, read_problems, read_values
from sveb.suite.suite import Suite

LIMIT_BYTES = 1_500_000
_FEW_ENTRIES = 8


def explorer_page(
    template: Template, look: Mapping[str, Any], view: SuiteView, board: BoardFigures, suite: Suite
) -> str:
    """The page, of at most LIMIT_BYTES unless a single problem is larger.

    Where all does not fit, the best-ranked entries stay, then problems spread evenly over the suite; the page says what
    it leaves out.
    """
    rows = [row for row in view.rows if row.entry.metadata.name in board.entries]
    problems = read_problems(suite, board.truth)
    values = {row.entry.metadata.name: read_values(row, view.key) for row in rows}
    shown_rows, shown = rows, problems
    while True:
        left_out = _left_out(shown, problems, shown_rows, rows)
        data = explorer_data(view, board.truth, shown, shown_rows, values, left_out)
        page = template.render(data=data, view=view, **look)
        size = len(page.encode())
        if size <= LIMIT_BYTES or (len(shown) <= 1 and len(shown_rows) <= _FEW_ENTRIES):
            return page
        if len(shown_rows) > _FEW_ENTRIES:
            shown_rows = rows[:_FEW_ENTRIES]
        else:
            count = max(1, min(len(shown) - 1, int(len(shown) * LIMIT_BYTES / size * 0.97)))
            shown = [problems[i * len(problems) // count] for i in range(count)]


def _left_out(
    shown: Sequence[TracedProblem], problems: Sequence[TracedProblem], rows: Sequence[Row], all_rows: Sequence[Row]
) -> list[str]:
    notes = []
    if len(shown) < len(problems):
        notes.append(f"{len(shown):,} of {len(problems):,} problems, spread evenly over the suite")
    if len(rows) < len(all_rows):
        notes.append(f"the {len(rows)} best-ranked of {len(all_rows)} entries")
    return notes
