"""The parts of the index beneath its table: each control used, and what it shows held against the embedded figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import synthetic
from playwright.sync_api import Page, expect

from sveb.leaderboard.build import build
from sveb.leaderboard.records import Record, Records, digests

Visitor = Callable[..., Any]


def rows(page: Page) -> list[dict[str, Any]]:
    """The figures of the suite that the page opens with."""
    found: list[dict[str, Any]] = page.evaluate(
        "JSON.parse(document.getElementById('data').textContent).suites[0].rows"
    )
    return found


def on_frontier(page: Page) -> list[str]:
    return page.eval_on_selector_all(
        "#price-best a", "links => links.map(a => a.getAttribute('href').match(/entries\\/(.*)\\.html/)[1])"
    )


def frontier(points: list[tuple[str, float, float]]) -> list[str]:
    """Those that no cheaper or equally cheap entry beats, cheapest first; of (name, cost, error)."""
    return [
        name
        for name, cost, error in sorted(points, key=lambda point: point[1:])
        if not any((c, e) != (cost, error) and c <= cost and e <= error for _, c, e in points)
    ]


def test_the_frontier_holds_what_nothing_cheaper_beats_and_follows_the_filters(visit: Visitor) -> None:
    page = visit().page
    figures = rows(page)
    points = [(row["name"], row["wall_ms"], row["metrics"]["mse"][0]) for row in figures]
    assert on_frontier(page) == frontier(points)
    assert page.locator("#price-chart a").count() == 12

    page.select_option("#price-cost", "tokens")
    page.select_option("#price-accuracy", "worth")
    points = [
        (row["name"], row["sampled"] + row["read"], -row["metrics"]["worth"][0])
        for row in figures
        if row["metrics"]["worth"][0] is not None
    ]
    assert on_frontier(page) == frontier(points)
    assert "1 entry has no worth" in page.inner_text("#price-note")
    assert "cost=tokens&accuracy=worth" in page.url

    page.fill("#search", "numca")
    assert "No entry shown has both a worth and a cost above 0" in page.inner_text("#price-chart")
    page.reload()
    assert page.input_value("#price-accuracy") == "worth"
    page.select_option("#price-cost", "wall")
    assert page.locator("#price-chart a").count() == 2
    page.click("#price-chart a >> nth=0")
    expect(page.locator("h1")).to_contain_text("numca")


def test_links_within_the_page_move_there_and_leave_the_state(visit: Visitor) -> None:
    page = visit("index.html#q=numca").page
    page.click(".places a >> text=Price of accuracy")
    assert page.evaluate("document.activeElement.id") == "price-title"
    assert page.input_value("#search") == "numca"
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url.endswith("#q=numca")


def test_tiers_are_shown_sorted_and_filtered(visit: Visitor, tmp_path: Path) -> None:
    submissions, key = synthetic.write_entries(tmp_path, 3), "ledger-nano@1.1.0"
    records = Records({})
    for name, tier in (("mc-k4", "reproduced"), ("mc-k9", "hidden truth")):
        code, predictions, results = digests(submissions / f"{synthetic.DATE}_{name}", key)
        record = Record(tier, "0.1.0", "a" * 64, code, predictions, results, 0.0, 0.0, confined=True)
        records = records.with_record(name, key, record)
    records.write(submissions)
    page = visit(folder=build(submissions, tmp_path / "site").parent).page

    page.click('th[data-column="tier"] button')
    shown = page.eval_on_selector_all("#board td .tier", "badges => badges.map(each => each.textContent)")
    assert shown == ["hidden truth", "reproduced", "self-reported"]
    page.click("#tiers-menu > summary")
    page.uncheck('#tiers input[value="self-reported"]')
    page.uncheck('#tiers input[value="hidden truth"]')
    assert page.eval_on_selector_all("#board tbody tr", "rows => rows.map(row => row.dataset.name)") == ["mc-k4"]
    assert page.inner_text("#tiers-count") == "1 of 3"
    page.reload()
    assert page.inner_text("#status").startswith("1 of 3 entries")
    page.click('tr[data-name="mc-k4"] a')
    assert "a maintainer ran its code again and got its predictions" in page.inner_text("main")


def test_small_charts_show_what_the_entries_own_pages_show_in_the_tables_order(visit: Visitor, traced: Path) -> None:
    page = visit("index.html", folder=traced).page
    assert page.locator("#multiples a").all_inner_texts() == page.locator("#board .name a").all_inner_texts()
    page.fill("#search", "fair")
    assert page.locator("#multiples li").count() == 1
    reliability, thirds = (each.get_attribute("aria-label") or "" for each in page.locator("#multiples svg").all())
    page.click("#multiples a")
    label = page.locator('svg[aria-label^="Reliability diagram"]').get_attribute("aria-label") or ""
    assert reliability.partition(": ")[2] == label.partition("predictions. ")[2]
    for name in ("first third of the steps", "second third", "last third"):
        value = re.search(rf"{name}: (\S+)", thirds)
        assert value
        assert value[1] in page.inner_text(f'tr:has(th:has-text("{name}"))')
