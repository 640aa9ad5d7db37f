"""The page of all suites side by side: what it shows, when it is there, and hostile text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sveb.entries.entry import read_entries
from sveb.publication import build
from sveb.runs.figures import AcrossFigures, across_file, read_figures
from tests.support import synthetic


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(page: str) -> dict[str, str]:
    """The text of each line of the table, by its estimator."""
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</th>(.*?)</tr>", page, re.DOTALL)
    return {re.sub("<.*?>", "", head).strip(): " ".join(re.sub("<.*?>", " ", body).split()) for head, body in rows}


def test_each_entry_has_its_skill_and_its_rank_on_each_suite(tmp_path: Path) -> None:
    submissions = synthetic.entries_on_two_suites(tmp_path)
    build(submissions, tmp_path / "site", figures=tmp_path / "figures")
    page = (tmp_path / "site" / "overview.html").read_text()
    found = lines(page)
    assert list(found) == ["early", "late", "alone"]
    results = {entry.metadata.name: entry.results for entry in read_entries(submissions)}
    for key in ("first@1.0.0", "second@1.0.0"):
        assert f"{results['early'][key].metrics['skill'].value:.3f}".replace("-", "−") in found["early"]
    assert found["early"].startswith("rank 1 ")
    assert " rank 2 " in found["early"]
    assert found["early"].endswith("moves order turned against late")
    assert found["late"].endswith("moves order turned against early")
    assert found["alone"].endswith("not on this suite not on all suites")
    assert "rank" not in found["alone"]
    assert 'href="overview.html"' in (tmp_path / "site" / "index.html").read_text()
    across = read_figures(AcrossFigures, across_file(tmp_path / "figures"))
    assert across.entries["early"].ranks == {"first@1.0.0": [1, 1], "second@1.0.0": [2, 2]}


def test_with_one_suite_there_is_neither_the_page_nor_a_link_to_it(tmp_path: Path) -> None:
    submissions = synthetic.entries_on_two_suites(tmp_path)
    build(submissions, tmp_path / "site")
    (tmp_path / "suites" / "second").rename(tmp_path / "elsewhere")
    build(submissions, tmp_path / "site")
    assert not (tmp_path / "site" / "overview.html").exists()
    assert "overview.html" not in (tmp_path / "site" / "index.html").read_text()


def test_an_entrys_title_stays_text_and_the_page_loads_nothing(tmp_path: Path) -> None:
    build(synthetic.entries_on_two_suites(tmp_path, "<img src=x>"), tmp_path / "site")
    page = (tmp_path / "site" / "overview.html").read_text()
    assert "<img" not in page
    assert "early&lt;img" in page
    assert not re.search(r'\b(src|href)="(https?:)?//', page)
