"""The parts of the index beneath its table: each control used, and what it shows held against the embedded figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from sveb.common.files import sha256
from sveb.entries.verification_records import Record, Records, digests
from sveb.publication import build
from sveb.runs.predictions import Predictions
from sveb.runs.results import BySeed, Estimate, Results
from tests.support import synthetic

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
        record = replace(record, hidden={"skill": [0.5, 0.4, None]} if tier == "hidden truth" else None)
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
    assert "a maintainer ran its code again and got the same predictions" in page.inner_text("main")
    page.goto(page.url.replace("mc-k4", "mc-k9"))
    assert re.search(r"Skill on the hidden truth\s+0.500\n", page.inner_text("main"))


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


def weighted(page: Page) -> list[list[str]]:
    """The cells of the reader's own ranking: place, name, score, ..."""
    return page.eval_on_selector_all(
        "#weighted tbody tr",
        "rows => rows.map(row => [...row.children].map(cell => cell.textContent.replace('−', '-')))",
    )


def standardised(figures: list[dict[str, Any]], metric: str, sign: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = np.array([row["metrics"][metric][0] for row in figures])
    from_median = values - np.median(values)
    return np.clip(sign * from_median / (1.4826 * np.median(np.abs(from_median))), -3, 3)


def test_weights_rank_anew_and_tell_how_far_the_ranks_hang_on_them(visit: Visitor) -> None:
    page = visit().page
    figures = rows(page)
    up = ("r2_within", "order_steps", "order_siblings")
    parts = [standardised(figures, metric, 1) for metric in up]
    parts += [standardised(figures, metric, -1) for metric in ("mse", "ece")]
    expected = dict(zip((row["title"] for row in figures), np.mean(parts, axis=0), strict=True))
    assert {line[1]: float(line[2]) for line in weighted(page)} == pytest.approx(expected, abs=0.006)
    assert [line[0] for line in weighted(page)] == sorted((line[0] for line in weighted(page)), key=int)
    for line in weighted(page):
        low, _, high = line[3].partition("–")
        assert int(low) <= int(line[0]) <= int(high or low)
    assert page.inner_text("#weights-told").endswith("and whichever metric is left out.")

    for metric in ("mse", "r2_within", "order_steps", "order_siblings"):
        page.focus(f"#weight-{metric}")
        page.keyboard.press("Home")
    assert page.url.endswith("weights=mse%3A0%2Cr2_within%3A0%2Corder_steps%3A0%2Corder_siblings%3A0")
    alone = dict(zip((row["title"] for row in figures), parts[-1], strict=True))
    page.reload()
    assert {line[1]: float(line[2]) for line in weighted(page)} == pytest.approx(alone, abs=0.006)
    assert {line[4] for line in weighted(page)} == {"n/a"}, "no metric is left where the only one is left out"

    page.fill("#weight-ece", "0")
    assert "Give at least one metric a weight" in page.inner_text("#weighted")
    page.click("#weights-reset")
    assert {line[1]: float(line[2]) for line in weighted(page)} == pytest.approx(expected, abs=0.006)
    assert "weights" not in page.url


def test_an_entry_without_a_metric_that_counts_has_no_score(visit: Visitor, tmp_path: Path) -> None:
    submissions = synthetic.write_entries(tmp_path, 4)
    path = submissions / f"{synthetic.DATE}_mc-k4" / "results" / "ledger-nano@1.1.0.json"
    results = Results.read(path)
    gone = Estimate(math.nan, math.nan, math.nan, "no step has two siblings")
    replace(results, metrics=results.metrics | {"order_siblings": gone}).write(path)
    page = visit(folder=build(submissions, tmp_path / "site").parent).page
    assert [line[0] for line in weighted(page)] == ["1", "2", "3", "n/a"]
    assert weighted(page)[3][1:3] == ["mc 4", "no score: it has no Order of siblings"]
    page.fill("#weight-order_siblings", "0")
    assert "n/a" not in [line[0] for line in weighted(page)]


def test_a_row_of_several_seeds_says_so_and_no_other_does(visit: Visitor, tmp_path: Path) -> None:
    submissions = synthetic.write_entries(tmp_path, 3)
    for path in submissions.glob("*mc-k4/results/*"):
        results = Results.read(path)
        spread = BySeed([0, 1, 2], {"mse": [0.1, 0.2, 0.3]}, {"mse": 0.1})
        told = path.parent.parent / "predictions" / f"{path.stem}.parquet"
        one = Predictions.read(told)
        replace(one, further=[one.values, one.values]).write(told)
        replace(results, by_seed=spread, predictions_sha256=sha256(told)).write(path)
    page = visit(folder=build(submissions, tmp_path / "site").parent).page
    row = page.locator("#board tbody tr", has=page.locator(".badge", has_text="3 seeds"))
    expect(row).to_have_count(1)
    expect(row.locator("th a")).to_have_attribute("href", re.compile("mc-k4"))
    expect(page.locator("#interval-note")).to_contain_text("varies with the seed of a training")
