"""The local server answers on this machine only, and says what stands in its way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.site.serve import serve


def test_it_serves_until_ctrl_c_and_ends_cleanly(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello", encoding="utf-8")
    code = "import sys, pathlib; from sveb.site.serve import serve; serve(pathlib.Path(sys.argv[1]), 0)"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == b"hello"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate()
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SvebError, match=f"port {port} is in use"):
            serve(tmp_path, port)


def test_an_impossible_port_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello", encoding="utf-8")
    with pytest.raises(SvebError, match="70000 is not a port"):
        serve(tmp_path, 70000)


def test_a_folder_without_a_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="build the site first"):
        serve(tmp_path, 0)
