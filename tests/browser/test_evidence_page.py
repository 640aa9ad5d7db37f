"""The page about scores and training in a browser: the shipped reports, and those of a finished experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from sveb.site.evidence_data import FOLDER
from sveb.site.evidence_page import evidence_page
from sveb.site.pages import environment
from tests.support.evidence_reports import write_finished

Visitor = Callable[..., Any]
PAGES = ("shipped.html", "finished.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both pages."""
    folder = tmp_path_factory.mktemp("evidence")
    write_finished(folder / "reports")
    template = environment().get_template("evidence.html.j2")
    for name, reports in zip(PAGES, (FOLDER, folder / "reports"), strict=True):
        (folder / name).write_text(evidence_page(template, reports), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "context",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}],
    ids=["wide", "dark", "narrow"],
)
def test_axe_finds_no_violation(visit: Visitor, pages: Path, name: str, context: dict[str, Any]) -> None:
    result = Axe().run(visit(name, folder=pages, **context).page)
    assert result.violations_count == 0, result.generate_report()


def test_no_width_makes_the_page_itself_scroll_sideways(visit: Visitor, pages: Path) -> None:
    for name in PAGES:
        page = visit(name, folder=pages).page
        for width in (320, 390, 768, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)


def test_type_in_drawings_is_legible_and_does_not_overlap(visit: Visitor, pages: Path) -> None:
    for width in (360, 1280):
        page = visit("finished.html", folder=pages, viewport={"width": width, "height": 900}).page
        sizes, clashes = page.evaluate(
            """() => {
              const all = [...document.querySelectorAll("svg.plane")].map(plane => [...plane.querySelectorAll("text")]);
              const sizes = all.flat().map(text => parseFloat(getComputedStyle(text).fontSize)
                * text.ownerSVGElement.getBoundingClientRect().width / 400);
              const clashes = all.flatMap(texts => texts.flatMap((text, i) => texts.slice(i + 1).filter(other => {
                const a = text.getBoundingClientRect(), b = other.getBoundingClientRect();
                return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
              }).map(other => `${text.textContent} / ${other.textContent}`)));
              return [sizes, clashes];
            }"""
        )
        assert len(sizes) > 100
        assert min(sizes) >= 8.5
        assert clashes == []


def test_the_index_leads_to_it_and_it_leads_back(visit: Visitor, site: Path) -> None:
    page = visit().page
    page.click("text=Does a better score mean better training?")
    assert page.inner_text("h1") == "Does a better score mean better training?"
    page.click("text=← SVEB leaderboard")
    assert page.url == (site / "index.html").as_uri()
