"""`sveb reproduce`: the baselines' entries in the repository come out again, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.entries.reproduce import find_entry, reproduce
from sveb.publication import build, same_page
from sveb.runs.run_folder import read_run

SUBMISSIONS = Path(__file__).resolve().parents[2] / "submissions"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a suite of the same name under ./suites would stand for the embedded one


@pytest.mark.parametrize("name", ["constant", "group_mean", "mc-k-4", "numca"])
def test_a_cheap_baseline_comes_out_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    entry = find_entry(SUBMISSIONS, name)
    found = reproduce(entry, tmp_path / "out")
    assert {made.key for made in found} == set(entry.results)
    for made in found:
        assert (made.predictions_same, made.results_same, made.run.otherwise) == (True, True, [])
        assert read_run(made.folder).results == entry.results[made.key]


def test_the_page_comes_out_again_byte_for_byte(tmp_path: Path) -> None:
    for name in ("numca", "group_mean"):
        folder = find_entry(SUBMISSIONS, name).folder
        shutil.copytree(folder, tmp_path / "submissions" / folder.name)
    entry = find_entry(tmp_path / "submissions", "numca")
    build(tmp_path / "submissions", tmp_path / "site")
    found = reproduce(entry, tmp_path / "out")
    assert same_page(entry, found, tmp_path / "site")
    page = tmp_path / "site" / "entries" / "numca.html"
    page.write_text(page.read_text(encoding="utf-8").replace("0.0", "0.1", 1), encoding="utf-8")
    assert not same_page(entry, found, tmp_path / "site")
    with pytest.raises(SvebError, match=r"contains no entries/numca\.html"):
        same_page(entry, found, tmp_path / "nowhere")


def test_a_name_that_is_not_there_gets_the_closest() -> None:
    with pytest.raises(SvebError, match="did you mean numca"):
        find_entry(SUBMISSIONS, "numcaa")
