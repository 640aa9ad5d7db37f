"""The static site.

    <out>/
      index.html            one file: style, script and figures are in it; works from file:// without a network
      entries/<name>.html   one page an entry
      explore/<suite>.html  its answers step by step, where the suite's truth is at hand
      data/<suite>.csv      downloads
      data/<suite>.json

The same entries, with the same suites at hand, give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sveb.core.files import write_text
from sveb.leaderboard import downloads
from sveb.leaderboard.entries import Entry, read_entries
from sveb.leaderboard.explore.page import explorer_page
from sveb.leaderboard.ranks import Known, known, with_ranks
from sveb.leaderboard.reproduce import command
from sveb.leaderboard.view import BUDGET_TITLES, PAPER_NOTE, SuiteView, decimals, index_data, interval, number, suites
from sveb.score.catalogue import CATALOGUE

_INDEX = ("dom.js", "index.shared.js", "index.price.js", "index.js")
_MARK = '<meta name="generator" content="sveb leaderboard">'


def build(submissions: Path, out: Path) -> Path:
    """Writes the site of all entries under `submissions` and returns the path of index.html.

    Raises `SvebError` with every fault of every entry, before anything is written. Pages of entries and suites that are
    gone are removed.
    """
    entries = read_entries(submissions)
    templates = environment()
    views: list[SuiteView] = []
    pages: dict[Path, str] = {}
    for view in suites(entries):
        truth = known(view)
        views.append(with_ranks(view, truth))
        if not isinstance(truth, str) and len(truth.truth.rows("path")):
            views[-1] = replace(views[-1], explored=True)
            pages[out / "explore" / f"{view.key}.html"] = _explorer(templates, views[-1], truth)
    pages |= {
        out / "entries" / f"{entry.metadata.name}.html": _entry_page(templates, entry, views) for entry in entries
    }
    index = templates.get_template("index.html.j2").render(
        data=index_data(views), views=views, catalogue=CATALOGUE, n_entries=len(entries), **assets(*_INDEX)
    )
    for view in views:
        write_text(out / "data" / f"{view.key}.csv", downloads.as_csv(view))
        write_text(out / "data" / f"{view.key}.json", downloads.as_json(view))
    for path, page in pages.items():
        write_text(path, page)
    for path in [*(out / "entries").glob("*.html"), *(out / "explore").glob("*.html")]:
        if path not in pages and _MARK in path.read_text(encoding="utf-8", errors="replace"):
            path.unlink()
    write_text(out / "index.html", index)
    return out / "index.html"


def environment() -> Environment:
    """Templates with the formats that pages share; all text in them is escaped."""
    made = Environment(
        loader=PackageLoader("sveb.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` escapes <, >, & and ' itself, and all beyond ASCII: nothing in a string can end the script element.
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    made.globals.update(
        number=number,
        interval=interval,
        decimals=decimals,
        budget_titles=BUDGET_TITLES,
        mark=Markup(_MARK),
        paper_note=PAPER_NOTE,
    )
    return made


def assets(*scripts: str) -> dict[str, Any]:
    """Style and script as they stand, and a policy under which the page runs this script and loads nothing."""
    folder = resources.files("sveb.leaderboard") / "templates"
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("theme.js", *scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "style": Markup((folder / "style.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
    }


def _explorer(templates: Environment, view: SuiteView, truth: Known) -> str:
    look = assets("dom.js", "explore.chart.js", "explore.js")
    folder = resources.files("sveb.leaderboard") / "templates"
    look["style"] += Markup((folder / "explore.css").read_text(encoding="utf-8"))
    return explorer_page(templates.get_template("explore.html.j2"), look, view, truth)


def _entry_page(templates: Environment, entry: Entry, views: list[SuiteView]) -> str:
    runs = [
        {
            "view": view,
            "row": row,
            "results": row.results,
            "command": command(entry.folder.name, entry.metadata, row.results),
        }
        for view in views
        for row in view.rows
        if row.entry is entry
    ]
    return templates.get_template("entry.html.j2").render(
        entry=entry, metadata=entry.metadata, runs=runs, catalogue=CATALOGUE, **assets()
    )
