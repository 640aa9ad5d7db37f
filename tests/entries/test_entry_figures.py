"""Figures of entries are computed once, and again only where what they came from has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.entries.entry import read_entries
from sveb.entries.entry_figures import suites_in, write_entry_figures
from sveb.runs.figures import board_file, entry_file
from tests.support import synthetic

KEY = "traced@1.0.0"


@pytest.fixture
def submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two entries, whose suite is under ./suites."""
    monkeypatch.chdir(tmp_path)
    return synthetic.traced_entries(tmp_path, 2, {"one": 0.1, "two": 0.2})


def test_a_second_time_nothing_is_written(submissions: Path, tmp_path: Path) -> None:
    entries, figures = read_entries(submissions), tmp_path / "figures"
    write_entry_figures(entries, figures, [])
    files = {path: path.stat().st_mtime_ns for path in figures.rglob("*.json")}
    assert len(files) == 2 + len(entries)  # of the board, of all suites, and of each entry
    write_entry_figures(entries, figures, [])
    assert {path: path.stat().st_mtime_ns for path in figures.rglob("*.json")} == files


def test_a_new_entry_changes_the_board_and_leaves_the_others_alone(submissions: Path, tmp_path: Path) -> None:
    entries, figures = read_entries(submissions), tmp_path / "figures"
    write_entry_figures([entry for entry in entries if entry.metadata.name != "two"], figures, [])
    first = entry_file(figures, KEY, "one").stat().st_mtime_ns
    assert not entry_file(figures, KEY, "two").exists()
    board = board_file(figures, KEY).read_bytes()
    write_entry_figures(entries, figures, [])
    assert entry_file(figures, KEY, "one").stat().st_mtime_ns == first
    assert entry_file(figures, KEY, "two").exists()
    assert board_file(figures, KEY).read_bytes() != board


def test_a_file_of_other_code_or_a_broken_one_is_computed_again(submissions: Path, tmp_path: Path) -> None:
    entries, figures = read_entries(submissions), tmp_path / "figures"
    write_entry_figures(entries, figures, [])
    path = entry_file(figures, KEY, "one")
    whole = path.read_bytes()
    raw = json.loads(whole)
    raw["source"]["code"] = "0" * 64
    for text in (json.dumps(raw), "{"):
        path.write_text(text, encoding="utf-8")
        write_entry_figures(entries, figures, [])
        assert path.read_bytes() == whole


def test_without_the_suite_there_are_no_figures_but_a_reason(submissions: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "suites")
    found = write_entry_figures(read_entries(submissions), tmp_path / "figures", [])
    assert found == {KEY: "the suite was not at hand when this page was built"}
    assert [path.name for path in (tmp_path / "figures").rglob("*.json")] == ["across.json"]


def test_a_folder_without_a_suite_is_refused(submissions: Path) -> None:
    with pytest.raises(SvebError, match=r"no suite in .*: give the folder of a suite"):
        suites_in(submissions)
