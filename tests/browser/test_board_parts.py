"""The parts of the index beneath its table: each control used, and what it shows held against the embedded figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

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
