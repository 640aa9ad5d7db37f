"""An entry's page: what it says of itself, and for each suite what a report shows, its code and how to reproduce it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from sveb.entries.entry import Entry
from sveb.entries.reproduce_command import command
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site.pages import assets
from sveb.site.report_page import content
from sveb.site.site_data import Row, SuiteView


@dataclass(frozen=True)
class _EntryReport:
    """What a report shows of an entry on one suite; see `report_page.content`."""

    verdict: Sequence[str]
    standing: str
    body: Markup


def entry_page(templates: Environment, entry: Entry, views: Sequence[SuiteView]) -> str:
    """The page of `entry`. Where there are no figures beyond its results, it holds the metrics of these alone."""
    runs = [
        {
            "view": view,
            "row": row,
            "results": row.results,
            "command": command(entry.folder.name, entry.metadata, row.results),
            "report": _entry_report(templates, row, view),
            "bare": "Its predictions do not fit the suite" if view.explored else _sentence(view.unranked),
        }
        for view in views
        for row in view.rows
        if row.entry is entry
    ]
    return templates.get_template("entry.html.j2").render(
        entry=entry, metadata=entry.metadata, runs=runs, catalogue=CATALOGUE, **assets("report.css")
    )


def _entry_report(templates: Environment, row: Row, view: SuiteView) -> _EntryReport | None:
    if row.figures is None or not view.explored:
        return None
    others = [other.entry.run(view.key) for other in view.rows if other is not row]
    shown = content(row.entry.run(view.key), row.figures, others)
    body = templates.get_template("report.body.html.j2").render(
        at=f"{view.key}-", on=f"on {view.name} {view.version}", one="entry", many="entries", **shown
    )
    return _EntryReport(shown["verdict"], shown["standing"], Markup(body))


def _sentence(reason: str | None) -> str:
    return f"{reason[0].upper()}{reason[1:]}" if reason else "It has no states along a response"
