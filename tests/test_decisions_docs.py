"""docs/decisions.md has an index that lists every decision."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "decisions.md").read_text(encoding="utf-8")


def index_line(heading: str) -> str:
    anchor = re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")
    return f"- [{heading}](#{anchor})"


def test_the_index_lists_every_decision_once() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert len(headings) == len(set(headings)) >= 50
    listed = re.findall(r"^- \[.*\]\(#.*\)$", PAGE.split("\n## ")[0], re.MULTILINE)
    assert sorted(listed) == sorted(index_line(heading) for heading in headings)
