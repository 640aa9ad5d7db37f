"""A reader never meets half a file; a full or closed disk is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.common.errors import SvebError, unknown_name
from sveb.common.files import read_json, write_atomic, write_text
from tests.support.needs import needs_root, small_disk


def test_a_write_that_fails_leaves_the_old_file_and_no_debris(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def broken(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_atomic(target, broken)
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@needs_root
def test_a_full_disk_is_said_so_and_leaves_the_old_file(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64k"):
        write_text(tmp_path / "a.txt", "old")
        with pytest.raises(SvebError, match="no space left"):
            write_text(tmp_path / "a.txt", "x" * 200_000)
        assert (tmp_path / "a.txt").read_text() == "old\n"
        assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_in_the_way_of_a_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "suite").write_text("not a folder")
    with pytest.raises(SvebError, match="there is a file where a folder is needed"):
        write_text(tmp_path / "suite" / "manifest.json", "{}")


def test_missing_and_broken_json_say_what_they_should_have_been(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=r"a suite's manifest: .* does not exist"):
        read_json(tmp_path / "manifest.json", "a suite's manifest")
    (tmp_path / "manifest.json").write_text('{"a": ')
    with pytest.raises(SvebError, match="not valid JSON"):
        read_json(tmp_path / "manifest.json", "a suite's manifest")


def test_a_misspelt_name_gets_the_closest_and_a_wild_one_gets_all() -> None:
    assert "did you mean group_mean?" in str(unknown_name("estimator", "grup_mean", ["group_mean", "constant"]))
    assert "known: constant, group_mean" in str(unknown_name("estimator", "zzzz", ["group_mean", "constant"]))
