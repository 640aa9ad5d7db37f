"""The index with many entries: its bytes, and how long until it answers in headless Chromium.

    python -m bench.page [entries ...]

The committed entries are repeated under other names, with their figures slightly moved: each carries what a real one
does (joint rank and its note, reliability, slices). Times run from the start of navigation: `interactive` to the second
frame with the first rows, `complete` to that after all rows and all that stands beneath them. A keystroke's runs from
the key to the second frame with the rows it leaves.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from bench.report import report
from sveb.entries.entry import read_entries
from sveb.entries.entry_figures import write_entry_figures
from sveb.runs.results import Estimate
from sveb.site.build import index_page, with_figures
from sveb.site.pages import environment
from sveb.site.site_data import Row, SuiteView, suite_views

COUNTS = (10, 50, 200, 1000)
REPEATS = 3
FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
COMPLETE = f"""() => new Promise(done => {{
  const drawn = () => (document.querySelector("#weighted tbody tr") ? {FRAMES}.then(done) : setTimeout(drawn));
  drawn();
}})"""
KEYSTROKE = f"""() => {{
  const from = performance.now(), field = document.getElementById("search");
  field.value = "hista";
  field.dispatchEvent(new Event("input"));
  return {FRAMES}.then(to => to - from);
}}"""


def committed() -> SuiteView:
    """The largest suite of ./submissions, with all that its truth tells."""
    entries, figures = read_entries(Path("submissions")), Path("runs/figures")
    view = suite_views(entries)[0]
    suite = write_entry_figures(entries, figures, [])[view.key]
    if isinstance(suite, str):
        raise SystemExit(f"{view.key}: {suite}")
    return with_figures(view, figures, suite)


def repeated(view: SuiteView, count: int) -> SuiteView:
    """`count` rows, those beyond the real ones with other names and figures."""
    rng = np.random.default_rng(0)

    def row(index: int) -> Row:
        real = view.rows[index % len(view.rows)]
        if index < len(view.rows):
            return real
        factor = float(rng.uniform(0.9, 1.1))
        metrics = {
            name: Estimate(each.value * factor, each.low * factor, each.high * factor, each.note)
            for name, each in real.results.metrics.items()
        }
        copy = index // len(view.rows)
        metadata = real.entry.metadata
        metadata = replace(metadata, name=f"{metadata.name}-{copy}", title=f"{metadata.title} {copy}")
        return replace(
            real, entry=replace(real.entry, metadata=metadata), results=replace(real.results, metrics=metrics)
        )

    return replace(view, rows=[row(index) for index in range(count)])


def measure(browser: Browser, page: Path) -> dict[str, int]:
    """Median milliseconds over REPEATS visits, each in a fresh context."""
    opened, complete, typed = [], [], []
    for _ in range(REPEATS):
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        tab = context.new_page()
        tab.add_init_script(f"addEventListener('DOMContentLoaded', () => {{ window.answered = {FRAMES}; }})")
        tab.goto(page.as_uri())
        opened.append(tab.evaluate("window.answered"))
        complete.append(tab.evaluate(COMPLETE))
        typed.append(tab.evaluate(KEYSTROKE))
        context.close()
    times = {"interactive_ms": opened, "complete_ms": complete, "keystroke_ms": typed}
    return {name: round(statistics.median(each)) for name, each in times.items()}


def main(counts: list[int]) -> None:
    """Builds and measures a page of each size."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        raise SystemExit("no chromium on this machine")
    view, templates = committed(), environment()
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for count in counts:
            page = Path(work) / f"{count}.html"
            page.write_text(index_page(templates, [repeated(view, count)], count), encoding="utf-8")
            figures.append({"entries": count, "bytes": page.stat().st_size, **measure(browser, page)})
        browser.close()
    report("page", {"pages": figures})


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or list(COUNTS))
