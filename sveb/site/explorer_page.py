"""A suite's explorer as one self-contained file of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Template

from sveb.site.board_ranks import Known
from sveb.site.site_data import Row, SuiteView
from sveb.site.traces import Problem, explorer_data, read_problems

LIMIT_BYTES = 1_500_000
_FEW_ENTRIES = 8


def explorer_page(template: Template, look: Mapping[str, Any], view: SuiteView, known: Known) -> str:
    """The page, of at most LIMIT_BYTES unless a single problem is larger.

    Where all does not fit, the best-ranked entries stay, then problems spread evenly over the suite; the page says what
    it leaves out.
    """
    rows = [row for row in view.rows if row.entry.metadata.name in known.values]
    problems = read_problems(known)
    shown_rows, shown = rows, problems
    while True:
        page = template.render(
            data=explorer_data(view, known, shown, shown_rows, _left_out(shown, problems, shown_rows, rows)),
            view=view,
            **look,
        )
        size = len(page.encode())
        if size <= LIMIT_BYTES or (len(shown) <= 1 and len(shown_rows) <= _FEW_ENTRIES):
            return page
        if len(shown_rows) > _FEW_ENTRIES:
            shown_rows = rows[:_FEW_ENTRIES]
        else:
            count = max(1, min(len(shown) - 1, int(len(shown) * LIMIT_BYTES / size * 0.97)))
            shown = [problems[i * len(problems) // count] for i in range(count)]


def _left_out(
    shown: Sequence[Problem], problems: Sequence[Problem], rows: Sequence[Row], all_rows: Sequence[Row]
) -> list[str]:
    notes = []
    if len(shown) < len(problems):
        notes.append(f"{len(shown):,} of {len(problems):,} problems, spread evenly over the suite")
    if len(rows) < len(all_rows):
        notes.append(f"the {len(rows)} best-ranked of {len(all_rows)} entries")
    return notes
