"""An entry's page with its report, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

Visitor = Callable[..., Any]


@pytest.mark.parametrize(
    "context", [{"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 800}}], ids=["dark", "narrow"]
)
def test_axe_finds_no_violation_on_a_reported_entry(visit: Visitor, traced: Path, context: dict[str, Any]) -> None:
    page = visit("entries/fair.html", folder=traced, **context).page
    for details in page.locator("details").all():
        details.evaluate("menu => { menu.open = true; }")
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_leads_to_its_comparison_and_to_its_line(visit: Visitor, traced: Path) -> None:
    page = visit("entries/fair.html", folder=traced).page
    page.click("text=Compare it with another entry")
    assert page.input_value("#a") == "fair"
    page.go_back()
    page.click("text=See its line along the answers")
    assert page.locator("#estimators input:checked").count() == 1
