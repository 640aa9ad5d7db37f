"""The static site.

    <out>/
      index.html            one file: style, script and figures are in it; works from file:// without a network
      evidence.html         does a better score mean better training? what the reports in the package say
      overview.html         its entries on all suites, where at least two suites that share an entry are on this machine
      entries/<name>.html   one page an entry
      explore/<suite>.html  its answers step by step, where the suite is on this machine
      compare/<suite>.html  any two of its entries against each other, likewise
      data/<suite>.csv      downloads
      data/<suite>.json

No figure is computed here: all are read from the entries' results, from files of figures (sveb/runs/figures.py) and
from reports of benches (sveb/site/evidence_data.py). The same files give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment

from sveb.common.files import write_text
from sveb.entries.entry import Entry
from sveb.runs.figures import (
    AcrossFigures,
    BoardFigures,
    RunFigures,
    across_file,
    board_file,
    entry_file,
    read_figures,
)
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site import downloads
from sveb.site.compare_page import versus_page
from sveb.site.entry_page import entry_page
from sveb.site.evidence_page import evidence_page
from sveb.site.explorer_page import explorer_page
from sveb.site.overview_page import overview_page
from sveb.site.pages import MARK, assets, environment
from sveb.site.rank_notes import shown_ranks
from sveb.site.site_data import SuiteView, index_data, suite_views
from sveb.suite.suite import Suite

_INDEX = (
    "index.css", "dom.js", "index.shared.js", "index.price.js", "index.multiples.js", "index.weights.js", "index.js",
)  # fmt: skip
_EXPLORE = ("explore.css", "dom.js", "explore.chart.js", "explore.js")
_VERSUS = ("versus.css", "dom.js", "versus.js")


def build_site(entries: Sequence[Entry], figures: Path, suites: Mapping[str, Suite | str], out: Path) -> Path:
    """Writes the site of all entries and returns the path of index.html.

    `suites` gives, for each suite key, the suite whose figures are under `figures`, or the reason why there are none.
    Pages of entries and suites that are gone are removed.
    """
    templates = environment()
    views = [with_figures(view, figures, suites[view.key]) for view in suite_views(entries)]
    pages: dict[Path, str] = {}
    for view in views:
        suite = suites[view.key]
        if isinstance(suite, str) or view.board is None or not view.explored:
            continue
        explorer, versus = (templates.get_template(f"{name}.html.j2") for name in ("explore", "versus"))
        page = explorer_page(explorer, assets(*_EXPLORE), view, view.board, suite)
        pages[out / "explore" / f"{view.key}.html"] = page
        if view.compared:
            page = versus_page(versus, assets(*_VERSUS), view, view.board, suite)
            pages[out / "compare" / f"{view.key}.html"] = page
    for entry in entries:
        pages[out / "entries" / f"{entry.metadata.name}.html"] = entry_page(templates, entry, views)
    across = read_figures(AcrossFigures, across_file(figures))
    if across.suites:
        pages[out / "overview.html"] = overview_page(templates.get_template("overview.html.j2"), views, across)
    pages[out / "evidence.html"] = evidence_page(templates.get_template("evidence.html.j2"))
    for view in views:
        write_text(out / "data" / f"{view.key}.csv", downloads.as_csv(view))
        write_text(out / "data" / f"{view.key}.json", downloads.as_json(view))
    for path, page in pages.items():
        write_text(path, page)
    old = [path for folder in ("entries", "explore", "compare") for path in (out / folder).glob("*.html")]
    for path in [*old, *out.glob("overview.html")]:
        if path not in pages and MARK in path.read_text(encoding="utf-8", errors="replace"):
            path.unlink()
    write_text(out / "index.html", index_page(templates, views, len(entries), overview=bool(across.suites)))
    return out / "index.html"


def with_figures(view: SuiteView, figures: Path, suite: Suite | str) -> SuiteView:
    """`view` with the figures of its entries; where there are none, with the reason why it has no joint ranks."""
    if isinstance(suite, str):
        return replace(view, unranked=suite)
    board = read_figures(BoardFigures, board_file(figures, view.key))
    ranks = shown_ranks(board, {row.entry.metadata.name: row.entry.metadata.title for row in view.rows})
    unranked = None
    if view.ranked_on == "hidden":
        unranked = "it is hidden, and only the entries' scores on it are published"
    elif not board.entries:
        unranked = "no entry's predictions fit the suite"
    elif not board.problem_ids:
        unranked = "the suite has no states along a response"
    rows = [
        replace(
            row,
            # the figures are of the public truth: they are no test of ranks on another
            rank=replace(row.rank, joint=ranks.get(name) if view.ranked_on == "public" else None),
            figures=read_figures(RunFigures, entry_file(figures, view.key, name)),
        )
        if (name := row.entry.metadata.name) in board.entries
        else row
        for row in view.rows
    ]
    explored = bool(board.problem_ids)
    compared = explored and len(board.entries) > 1
    return replace(view, rows=rows, board=board, unranked=unranked, explored=explored, compared=compared)


def index_page(templates: Environment, views: Sequence[SuiteView], n_entries: int, *, overview: bool = False) -> str:
    """The page of all entries; its size grows with their number, and its script draws them.

    `overview`: it links to the page of all suites.
    """
    return templates.get_template("index.html.j2").render(
        data=index_data(views),
        views=views,
        catalogue=CATALOGUE,
        n_entries=n_entries,
        overview=overview,
        **assets(*_INDEX),
    )
