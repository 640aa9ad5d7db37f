"""An entry's page: what it says of itself, and for each suite what a report shows, its code and how to reproduce it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from sveb.entries.entry import Entry
from sveb.entries.reproduce_command import command
from sveb.runs.run_folder import RunFolder
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site.board_ranks import Known
from sveb.site.pages import assets
from sveb.site.report_page import content
from sveb.site.site_data import Row, SuiteView


@dataclass(frozen=True)
class _Reported:
    """What a report shows of an entry on one suite; see `report.build.content`."""

    verdict: Sequence[str]
    standing: str
    body: Markup


def entry_page(templates: Environment, entry: Entry, views: Sequence[SuiteView], at_hand: Mapping[str, Known]) -> str:
    """The page of `entry`; `at_hand` holds the suites, by key, whose states could be read.

    On other suites, and where its predictions do not fit the suite, the page holds the metrics of its results alone.
    """
    runs = [
        {
            "view": view,
            "row": row,
            "results": row.results,
            "command": command(entry.folder.name, entry.metadata, row.results),
            "report": _reported(templates, row, view, at_hand.get(view.key)),
            "bare": "Its predictions do not fit the suite" if view.key in at_hand else _sentence(view.unranked),
        }
        for view in views
        for row in view.rows
        if row.entry is entry
    ]
    return templates.get_template("entry.html.j2").render(
        entry=entry, metadata=entry.metadata, runs=runs, catalogue=CATALOGUE, **assets("report.css")
    )


def _reported(templates: Environment, row: Row, view: SuiteView, known: Known | None) -> _Reported | None:
    name = row.entry.metadata.name
    if known is None or name not in known.values:
        return None
    run = _as_run(row)
    others = [_as_run(other) for other in view.rows if other is not row]
    shown = content(run, known.suite, known.truth, known.values[name], others)
    body = templates.get_template("report.body.html.j2").render(
        at=f"{view.key}-", on=f"on {view.name} {view.version}", one="entry", many="entries", **shown
    )
    return _Reported(shown["verdict"], shown["standing"], Markup(body))


def _as_run(row: Row) -> RunFolder:
    return RunFolder(row.entry.metadata.name, row.entry.folder, row.results)


def _sentence(reason: str | None) -> str:
    return f"{reason[0].upper()}{reason[1:]}" if reason else "It has no states along a response"
