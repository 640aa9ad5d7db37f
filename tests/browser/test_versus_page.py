"""Two entries against each other: the page shows the scorer's own paired comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from sveb.runs.figures import Comparison
from sveb.score.compare import compare
from sveb.suite.suite import Suite

Visitor = Callable[..., Any]
PAGE = "compare/traced@1.0.0.html"


@pytest.fixture(scope="module")
def sharp_to_blunt(traced: Path) -> Comparison:
    """What the scorer says of the two entries."""
    work = traced.parent
    a, b = (work / "runs" / name / "predictions.parquet" for name in ("sharp", "blunt"))
    return compare(Suite.open(work / "suites" / "traced"), a, b)


def figures(page: Page, metric: str) -> list[float]:
    found = re.search(rf"{metric} (\S+) \[(\S+), (\S+)\]", page.inner_text("#figures").replace("−", "-"))
    assert found
    return [float(each) for each in found.groups()]


def test_it_says_what_the_scorer_says(visit: Visitor, traced: Path, sharp_to_blunt: Comparison) -> None:
    page = visit(f"{PAGE}#a=sharp&b=blunt", folder=traced).page
    assert page.inner_text("#verdict-text").replace("\u2068", "").replace("\u2069", "").startswith(
        "sharp is better than blunt: skill +"
    )  # fmt: skip
    for metric, places, theirs in (("MSE", 4, sharp_to_blunt.mse), ("skill", 3, sharp_to_blunt.skill)):
        value, low, high = figures(page, metric)
        assert [value, low, high] == pytest.approx(
            [theirs.value, theirs.low, theirs.high], abs=0.5001 * 10**-places
        )  # fmt: skip

    page.click("#swap")
    assert "blunt\u2069 is worse than" in (page.text_content("#verdict-text") or "")
    assert figures(page, "skill") == [-value, -high, -low]
    assert page.url.endswith("#a=blunt&b=sharp")


def test_a_pair_that_is_not_computed_ahead_is_left_to_the_command(visit: Visitor, traced: Path, tmp_path: Path) -> None:
    text = (traced / PAGE).read_text(encoding="utf-8")
    (raw,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    (tmp_path / "compare").mkdir()
    (tmp_path / PAGE).write_text(text.replace(raw, json.dumps(json.loads(raw) | {"pairs": []})), encoding="utf-8")
    page = visit(f"{PAGE}#a=sharp&b=blunt", folder=tmp_path).page
    assert "is not computed ahead" in page.inner_text("#verdict-text")
    command = page.inner_text("#figures code").split()
    assert command[:2] == ["sveb", "compare"]
    assert all((traced.parent / file).is_file() for file in command[2:])
    assert page.locator("#bars rect").count() == 6, "the problems are drawn all the same"


def test_bars_and_tables_split_the_problems(visit: Visitor, traced: Path) -> None:
    page = visit(f"{PAGE}#a=fair&b=group_mean", folder=traced).page
    heights = page.eval_on_selector_all("#bars rect", "bars => bars.map(bar => bar.querySelector('title').textContent)")
    gaps = [float(re.split(r": | \(", text)[1].replace("−", "-")) for text in heights]
    assert len(gaps) == 6
    assert gaps == sorted(gaps)
    lines = page.locator("#first-most th").count(), page.locator("#second-most th").count()
    assert lines == (sum(gap < 0 for gap in gaps), sum(gap > 0 for gap in gaps))
    page.locator("#first-most a, #second-most a").first.click()
    assert "/explore/traced@1.0.0.html#" in page.url


def test_choosing_and_foreign_addresses(visit: Visitor, traced: Path) -> None:
    page = visit("index.html", folder=traced).page
    page.click("#compare")
    assert page.input_value("#a") != page.input_value("#b")
    page.select_option("#a", "blunt")
    page.select_option("#b", "fair")
    assert page.url.endswith("#a=blunt&b=fair")
    page.select_option("#b", "blunt")
    assert (page.input_value("#a"), page.input_value("#b")) == ("fair", "blunt")
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.url.endswith("#a=fair&b=blunt"), "a link within the page leaves the state"
    assert page.evaluate("document.activeElement.id") == "main"
    strange = visit(f"{PAGE}#a=__proto__&b=nothing&a=%E0%A4%A", folder=traced).page
    assert strange.input_value("#a") != strange.input_value("#b")


@pytest.mark.parametrize(
    "context",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 800}}],
    ids=["wide", "dark", "narrow"],
)
def test_axe_finds_no_violation_in_versus(visit: Visitor, traced: Path, context: dict[str, Any]) -> None:
    page = visit(PAGE, folder=traced, **context).page
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
