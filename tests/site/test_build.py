"""The built site: the same bytes for the same entries, and a stranger's text stays text."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.publication import build
from tests.support import synthetic

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\" ' & \u2028\u202e\u05d0 {{ 7*7 }} {% x %}"
)


class Page(HTMLParser):
    """Elements, their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)

    def data(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(self.scripts[0])
        return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_entries_give_the_same_bytes(tmp_path: Path) -> None:
    submissions = synthetic.write_entries(tmp_path, 3)
    first = build(submissions, tmp_path / "one")
    shutil.copytree(submissions, tmp_path / "copy")
    second = build(tmp_path / "copy", tmp_path / "two")
    assert first == tmp_path / "one" / "index.html"
    assert files(first.parent) == files(second.parent)
    assert set(files(first.parent)) == {
        "index.html",
        "evidence.html",
        "entries/mc-k1.html",
        "entries/mc-k4.html",
        "entries/mc-k9.html",
        *(f"data/ledger-nano@{version}.{kind}" for version in ("1.0.0", "1.1.0") for kind in ("csv", "json")),
    }


def test_the_page_holds_the_figures_of_results_json(tmp_path: Path) -> None:
    index = build(synthetic.write_entries(tmp_path, 12), tmp_path / "site")
    latest, older = Page(index.read_text(encoding="utf-8")).data()["suites"]
    assert (latest["key"], latest["latest"], older["latest"]) == ("ledger-nano@1.1.0", True, False)
    rows = {row["name"]: row for row in latest["rows"]}  # type: ignore[attr-defined]
    assert rows["mc-k9"]["metrics"]["mse"] == pytest.approx([0.0058, 0.004304, 0.00718], rel=1e-5)
    assert [row["rank"] for row in latest["rows"]] == list(range(1, 13))  # type: ignore[attr-defined]
    value, low, high, note = rows["constant"]["metrics"]["worth"]
    assert (value, low, high) == (None, None, None)
    assert note.startswith("unbounded")
    assert len(older["rows"]) == 6  # type: ignore[arg-type]


def test_downloads_hold_every_figure_whole_and_missing_ones_empty(tmp_path: Path) -> None:
    index = build(synthetic.write_entries(tmp_path, 12), tmp_path / "site")
    text = (index.parent / "data" / "ledger-nano@1.1.0.csv").read_text(encoding="utf-8")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(text))}
    assert float(rows["mc-k9"]["mse_low"]) == 0.0058 - 0.12 * 0.0058 - 0.0008
    assert rows["constant"]["worth"] == ""
    assert rows["probe-group-kappa4.0"]["budget"] == "group train_returns hidden_states"
    whole = json.loads((index.parent / "data" / "ledger-nano@1.1.0.json").read_text(encoding="utf-8"))
    assert whole["entries"][0]["results"]["metrics"]["mse"]["value"] == 0.0058
    assert whole["entries"][-1]["results"]["metrics"]["worth"]["value"] is None


def test_markup_in_every_field_stays_text(tmp_path: Path) -> None:
    params = {HOSTILE: HOSTILE}
    run = synthetic.write_run(
        tmp_path / "runs" / "mine", HOSTILE, params, code=HOSTILE, alarms=({"badge": HOSTILE, "evidence": HOSTILE},)
    )
    synthetic.make_entry(
        run, tmp_path / "submissions", date=synthetic.DATE, name="mine", title=HOSTILE, team=HOSTILE,
        authors=[HOSTILE], method=HOSTILE, links=["https://example.org/?a=\"><script>alert(3)</script>"],
        licence=HOSTILE, hardware=HOSTILE,
    )  # fmt: skip
    index = build(tmp_path / "submissions", tmp_path / "site")
    page = Page(index.read_text(encoding="utf-8"))
    row = page.data()["suites"][0]["rows"][0]  # type: ignore[index]
    assert row["title"] == row["by"] == HOSTILE
    (data,) = re.findall(r'id="data">(.*?)</script>', index.read_text(encoding="utf-8"), re.DOTALL)
    assert not set("<>&\u2028\u202e") & set(data)
    entry = Page((index.parent / "entries" / "mine.html").read_text(encoding="utf-8"))
    for each in (page, entry):
        assert not any("alert" in script and "application" not in script for script in each.scripts[1:])
        assert [attributes for _, attributes in each.tags if any(name.startswith("on") for name in attributes)] == []
        assert [attributes["src"] for _, attributes in each.tags if "src" in attributes] == []
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    assert sum(tag == "script" for tag, _ in entry.tags) == 1


def test_only_web_links_become_links(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "numca")
    with pytest.raises(SvebError, match="is not a web address"):
        synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE, links=["JaVaScRiPt:alert(1)"])
    synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE, links=["https://example.org/a?b=1&c"])
    index = build(tmp_path / "submissions", tmp_path / "site")
    page = Page((index.parent / "entries" / "numca.html").read_text(encoding="utf-8"))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert [link for link in links if "example" in (link or "")] == ["https://example.org/a?b=1&c"]


def test_without_entries_the_page_says_how_to_add_one(tmp_path: Path) -> None:
    (tmp_path / "submissions").mkdir()
    index = build(tmp_path / "submissions", tmp_path / "site")
    assert "sveb submit" in index.read_text(encoding="utf-8")


def test_a_broken_entry_stops_the_build_before_anything_is_written(tmp_path: Path) -> None:
    submissions = synthetic.write_entries(tmp_path, 3)
    for folder in submissions.iterdir():
        (folder / "metadata.toml").write_text("name = 3\n", encoding="utf-8")
    with pytest.raises(SvebError) as error:
        build(submissions, tmp_path / "site")
    assert all(folder.name in str(error.value) for folder in submissions.iterdir())
    assert not (tmp_path / "site").exists()


def test_the_page_of_a_withdrawn_entry_goes_and_foreign_files_stay(tmp_path: Path) -> None:
    submissions = synthetic.write_entries(tmp_path, 2)
    index = build(submissions, tmp_path / "site")
    (index.parent / "entries" / "notes.html").write_text("mine", encoding="utf-8")
    shutil.rmtree(submissions / "2026-01-31_mc-k4")
    build(submissions, tmp_path / "site")
    assert sorted(path.name for path in (index.parent / "entries").iterdir()) == ["mc-k9.html", "notes.html"]


def test_fifty_entries_fit_in_400_kilobytes(tmp_path: Path) -> None:
    index = build(synthetic.write_entries(tmp_path, 50), tmp_path / "site")
    assert index.stat().st_size < 400_000
