"""Converted weights are whole or not there: after a kill, on a full disk, when a file was changed, with two at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sveb.common.errors import SvebError
from sveb.policies.conversion_cache import Conversion, conversions, converted
from tests.support.needs import needs_root, small_disk


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def write(target: Path, _scratch: Path, numbers: int = 1000) -> None:
    """Stands for a conversion: one file of weights."""
    save_file({"weight": np.arange(numbers, dtype=np.float32)}, target / "model.safetensors")


def make() -> Conversion:
    """The conversion that all tests ask for."""
    return converted("small", "key", {"gguf": {"file": "small.gguf", "sha256": "0"}}, write)


def _killed_half_way() -> None:
    def half(target: Path, scratch: Path) -> None:
        write(target, scratch)
        os.kill(os.getpid(), signal.SIGKILL)

    converted("small", "key", {}, half)


def _slowly(journal: Path) -> None:
    def slow(target: Path, scratch: Path) -> None:
        with journal.open("a") as log:
            log.write("made\n")
        time.sleep(0.5)
        write(target, scratch)

    converted("small", "key", {}, slow)


def test_what_a_killed_process_left_is_never_used_and_is_deleted_by_the_next(cache: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed_half_way)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert conversions() == []
    assert [path.name.startswith(".small") for path in cache.iterdir() if path.name != "lock"] == [True]
    made = make()
    assert conversions() == [made]
    assert sorted(path.name for path in cache.iterdir()) == sorted(["lock", made.folder.name])


def test_two_processes_at_once_do_the_work_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_slowly, args=(tmp_path / "journal",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "journal").read_text() == "made\n"
    assert len(conversions()) == 1


def test_weights_that_were_changed_are_refused_with_what_to_do() -> None:
    path = make().folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\1\2\3\4")
    with pytest.raises(SvebError, match="has changed since it was written: delete this folder"):
        make()


def test_an_error_leaves_nothing(cache: Path) -> None:
    def fails(target: Path, scratch: Path) -> None:
        write(target, scratch)
        raise SvebError("no")

    with pytest.raises(SvebError, match="no"):
        converted("small", "key", {}, fails)
    assert [path.name for path in cache.iterdir()] == ["lock"]


@needs_root
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setenv("SVEB_CACHE", str(disk))
    with small_disk(disk, "1m"):
        with pytest.raises(SvebError, match=r"no space left for .*models: free some"):
            converted("small", "key", {}, lambda target, scratch: write(target, scratch, 10**6))
        assert [path.name for path in (disk / "models").iterdir()] == ["lock"]
        assert make().folder.is_dir()
