"""The report in a browser: readable at any width, in both themes, on paper and by ear, with the network shut."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from sveb.publication import report
from tests.support import suites

Visitor = Callable[..., Any]
ATTACK = "</script><img src=x onerror=\"document.title='owned'\"><b>\u202egnol yrev</b> " + "W" * 3000 + " \u05d0" * 400


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """guess.html of an ordinary run and hostile.html of one whose every text is an attack."""
    folder = tmp_path_factory.mktemp("reports")
    suite, value = suites.walks(folder / "suite", problems=40)
    report(suites.write_runs(folder / "runs", suite, value), str(folder / "suite"), folder / "guess.html")
    suite, value = suites.walks(folder / "hostile", problems=3, question=ATTACK, text=ATTACK)
    run = suites.write_run(
        folder / "hostile-runs/a", suite, value, spec=ATTACK, description=ATTACK, params={ATTACK: ATTACK}
    )
    report(run, str(folder / "hostile"), folder / "hostile.html")
    return folder


@pytest.mark.parametrize("name", ["guess.html", "hostile.html"])
@pytest.mark.parametrize(
    "context",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}],
    ids=["wide", "dark", "narrow"],
)
def test_axe_finds_no_violation(visit: Visitor, reports: Path, name: str, context: dict[str, Any]) -> None:
    page = visit(name, folder=reports, **context).page
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("name", ["guess.html", "hostile.html"])
def test_no_width_makes_the_page_itself_scroll_sideways(visit: Visitor, reports: Path, name: str) -> None:
    page = visit(name, folder=reports).page
    for width in (320, 390, 768, 1100, 1400, 2200):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_type_in_drawings_stays_legible_on_a_phone(visit: Visitor, reports: Path) -> None:
    page = visit("guess.html", folder=reports, viewport={"width": 360, "height": 800}).page
    heights = page.eval_on_selector_all(
        "svg text", "texts => texts.map(text => parseFloat(getComputedStyle(text).fontSize) * "
        "(text.closest('.plane') ? text.closest('.plane').getBoundingClientRect().width / 400 : 1))",
    )  # fmt: skip
    assert len(heights) > 40
    assert min(heights) >= 8.5


def test_labels_of_an_axis_do_not_run_into_each_other(visit: Visitor, reports: Path) -> None:
    for width in (390, 1400):
        page = visit("guess.html", folder=reports, viewport={"width": width, "height": 900}).page
        clashes = page.evaluate(
            """() => [...document.querySelectorAll(".strip")].flatMap(strip => {
              const boxes = [...strip.querySelectorAll("text")].map(text => text.getBoundingClientRect());
              boxes.sort((a, b) => a.left - b.left);
              return boxes.slice(1).filter((box, i) => box.left < boxes[i].right + 2).length ? [strip.textContent] : [];
            })"""
        )
        assert clashes == []


def test_the_three_drawings_and_all_sections_are_there(visit: Visitor, reports: Path) -> None:
    page = visit("guess.html", folder=reports).page
    assert page.locator("svg.plane").count() == 3
    assert page.locator("svg.plane .whisker").count() > 15
    assert page.locator(".tile").count() == 6
    assert page.locator(".state").count() == 20
    assert page.locator("tr.mine").count() == 1
    heads = page.eval_on_selector_all("main h2", "heads => heads.map(head => head.textContent.trim())")
    assert heads == [
        "Headline figures", "Compared with the other runs", "Reliability", "Prediction and truth",
        "Order by the size of the gap", "Where its errors are", "Problems with the largest errors",
        "The 20 states with the largest errors", "All metrics, and where they come from",
    ]  # fmt: skip


def test_marks_stand_where_the_figures_say(visit: Visitor, reports: Path) -> None:
    page = visit("guess.html", folder=reports).page
    for state in page.locator(".state").all()[:5]:
        predicted, truth, group = (
            float(re.match(r"[\d.]+", state.locator("dd").nth(i).inner_text())[0])
            for i in range(3)  # type: ignore[index]
        )
        strip = state.locator("svg.strip").bounding_box()

        def place(selector: str, state: Any = state, strip: Any = strip) -> float:
            box = state.locator(selector).bounding_box()
            return ((box["x"] + box["width"] / 2 - strip["x"]) / strip["width"] - 0.03) / 0.94

        assert place("svg.strip circle.dot") == pytest.approx(truth, abs=0.01)
        assert place("svg.strip .guess") == pytest.approx(predicted, abs=0.01)
        assert place("svg.strip .ghost") == pytest.approx(group, abs=0.01)


def test_theme_follows_the_system_until_the_toggle_overrides_it(visit: Visitor, reports: Path) -> None:
    page = visit("guess.html", folder=reports, color_scheme="dark").page
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_print_is_white_whole_and_without_controls(visit: Visitor, reports: Path) -> None:
    page = visit("guess.html", folder=reports, color_scheme="dark").page
    page.emulate_media(media="print")
    assert not page.is_visible("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.is_visible(".plots")
    clipped = page.eval_on_selector_all(
        ".state pre, .scroll", "boxes => boxes.filter(box => box.scrollHeight > box.clientHeight + 2).length"
    )
    assert clipped == 0
    pdf = page.pdf(prefer_css_page_size=True)
    assert re.match(rb"%PDF", pdf)
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 16


def test_a_strangers_text_neither_runs_nor_is_lost(visit: Visitor, reports: Path) -> None:
    page = visit("hostile.html", folder=reports).page
    assert page.locator("img").count() == 0
    assert page.title() == "a on walks · SVEB report"
    assert "</script><img src=x" in page.locator(".state .question").first.inner_text()
    assert page.locator(".state").first.bounding_box()["height"] < 1500  # type: ignore[index]
