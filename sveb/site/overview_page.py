"""The page of all suites side by side: skill and rank of each entry on each suite, and who keeps their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Template

from sveb.runs.figures import AcrossEntry, AcrossFigures
from sveb.runs.results import Estimate
from sveb.site.pages import assets
from sveb.site.site_data import Row, SuiteView

_LEAST = -0.5  # where the bars begin: a very bad estimator would leave no room for the others


@dataclass(frozen=True)
class Cell:
    """An entry on one suite. `bar`: at, low and high of its interval on the page's scale [0, 1], None without one."""

    skill: Estimate
    rank: list[int] | None
    bar: tuple[float, float, float] | None


@dataclass(frozen=True)
class Line:
    """An entry: a cell for each suite, None where it has no results; `across` is None if it is not on all suites."""

    row: Row
    cells: list[Cell | None]
    across: AcrossEntry | None
    turned: list[str]


def overview_page(template: Template, views: Sequence[SuiteView], across: AcrossFigures) -> str:
    """The page; lines in the order of the first suite, then the other entries. No figure joins two suites."""
    shown = [view for view in views if view.key in across.suites]
    by_suite = [{row.entry.metadata.name: row for row in view.rows} for view in shown]
    titles = {name: row.entry.metadata.title for rows in by_suite for name, row in rows.items()}
    lines = []
    for name in titles:
        entry = across.entries.get(name)
        cells = [
            _cell(rows[name], entry.ranks[view.key] if entry else None) if name in rows else None
            for view, rows in zip(shown, by_suite, strict=True)
        ]
        row = next(rows[name] for rows in by_suite if name in rows)
        lines.append(Line(row, cells, entry, [titles[other] for other in entry.turned] if entry else []))
    return template.render(views=shown, lines=lines, shared=len(across.entries), **assets("overview.css"))


def _cell(row: Row, rank: list[int] | None) -> Cell:
    skill = row.results.metrics["skill"]
    whole = all(math.isfinite(x) for x in (skill.value, skill.low, skill.high))
    at, low, high = (
        (min(1.0, max(0.0, (x - _LEAST) / (1 - _LEAST))) for x in (skill.value, skill.low, skill.high))
        if whole
        else (0.0,) * 3
    )
    return Cell(skill, rank, (at, low, high) if whole else None)
