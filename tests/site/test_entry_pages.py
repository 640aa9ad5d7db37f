"""An entry's page shows what `sveb report` shows of the same run, and a stranger's text in it stays text."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from sveb.publication import build, report
from tests.support import synthetic

HOSTILE = "</script><img src=x onerror=alert(1)> ' \" & {{ 7*7 }} \u202e\u2028"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_drawing_and_heading_of_the_report_is_on_the_page(tmp_path: Path) -> None:
    submissions = synthetic.traced_entries(tmp_path)
    page = (build(submissions, tmp_path / "site").parent / "entries" / "fair.html").read_text(encoding="utf-8")
    alone = report(tmp_path / "runs" / "fair").page.read_text(encoding="utf-8")
    drawings = re.findall(r'<svg class="plane".*?</svg>', alone, re.DOTALL)
    assert len(drawings) == 3
    assert all(drawing in page for drawing in drawings)
    titles = {title.replace("runs", "entries") for title in re.findall(r"<h2[^>]*>([^<]+)", alone)}
    assert titles <= set(re.findall(r"<h2[^>]*>([^<]+)", page))
    assert len(titles) > 7
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_without_the_suite_the_metrics_stay_and_the_page_says_why(tmp_path: Path) -> None:
    submissions = synthetic.traced_entries(tmp_path)
    shutil.rmtree(tmp_path / "suites")
    page = (build(submissions, tmp_path / "site").parent / "entries" / "fair.html").read_text(encoding="utf-8")
    assert (
        "The suite was not at hand when this page was built: what its states show about this entry is left out." in page
    )
    assert "Metrics on traced 1.0.0" in page
    assert "with the largest errors" not in page


def test_hostile_text_of_the_suite_and_of_the_entry_stays_text(tmp_path: Path) -> None:
    submissions = synthetic.traced_entries(tmp_path, title=HOSTILE, text=HOSTILE)
    site = build(submissions, tmp_path / "site").parent
    for path in ("entries/fair.html", "compare/traced@1.0.0.html", "index.html"):
        text = (site / path).read_text(encoding="utf-8")
        assert "<img" not in text, path
        assert len(re.findall("</script>", text)) == len(re.findall("<script", text)), path
