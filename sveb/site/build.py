"""The static site.

    <out>/
      index.html            one file: style, script and figures are in it; works from file:// without a network
      entries/<name>.html   one page an entry
      explore/<suite>.html  its answers step by step, where the suite's truth is at hand
      compare/<suite>.html  any two of its entries against each other, likewise
      data/<suite>.csv      downloads
      data/<suite>.json

The same entries, with the same suites at hand, give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment

from sveb.common.files import write_text
from sveb.entries.entry import read_entries
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site import downloads
from sveb.site.board_ranks import Known, known, suites_in, with_bins, with_ranks
from sveb.site.compare_page import versus_page
from sveb.site.entry_page import entry_page
from sveb.site.explorer_page import explorer_page
from sveb.site.pages import MARK, assets, environment
from sveb.site.site_data import SuiteView, index_data, suites

_INDEX = (
    "index.css", "dom.js", "index.shared.js", "index.price.js", "index.multiples.js", "index.weights.js", "index.js",
)  # fmt: skip
_EXPLORE = ("explore.css", "dom.js", "explore.chart.js", "explore.js")
_VERSUS = ("versus.css", "dom.js", "versus.bootstrap.js", "versus.js")


def build(submissions: Path, out: Path, suites_at: Sequence[Path] = ()) -> Path:
    """Writes the site of all entries under `submissions` and returns the path of index.html.

    What needs a suite's truth is shown of the suites in the folders `suites_at`, under ./suites and in the package.

    Raises `SvebError` with every fault of every entry, before anything is written. Pages of entries and suites that are
    gone are removed.
    """
    at = [suite for folder in suites_at for suite in suites_in(folder)]
    entries = read_entries(submissions)
    templates = environment()
    views: list[SuiteView] = []
    at_hand: dict[str, Known] = {}
    pages: dict[Path, str] = {}
    for view in suites(entries):
        truth = known(view, at)
        views.append(with_ranks(view, truth))
        if not isinstance(truth, str) and len(truth.truth.rows("path")):
            at_hand[view.key] = truth
            views[-1] = replace(with_bins(views[-1], truth), explored=True, compared=len(truth.values) > 1)
            explorer, versus = (templates.get_template(f"{name}.html.j2") for name in ("explore", "versus"))
            pages[out / "explore" / f"{view.key}.html"] = explorer_page(explorer, assets(*_EXPLORE), views[-1], truth)
            if views[-1].compared:
                pages[out / "compare" / f"{view.key}.html"] = versus_page(versus, assets(*_VERSUS), views[-1], truth)
    pages |= {
        out / "entries" / f"{entry.metadata.name}.html": entry_page(templates, entry, views, at_hand)
        for entry in entries
    }
    for view in views:
        write_text(out / "data" / f"{view.key}.csv", downloads.as_csv(view))
        write_text(out / "data" / f"{view.key}.json", downloads.as_json(view))
    for path, page in pages.items():
        write_text(path, page)
    for path in [path for folder in ("entries", "explore", "compare") for path in (out / folder).glob("*.html")]:
        if path not in pages and MARK in path.read_text(encoding="utf-8", errors="replace"):
            path.unlink()
    write_text(out / "index.html", index_page(templates, views, len(entries)))
    return out / "index.html"


def index_page(templates: Environment, views: Sequence[SuiteView], n_entries: int) -> str:
    """The page of all entries; its size grows with their number, and its script draws them."""
    return templates.get_template("index.html.j2").render(
        data=index_data(views), views=views, catalogue=CATALOGUE, n_entries=n_entries, **assets(*_INDEX)
    )
