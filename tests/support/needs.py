"""What tests need of the machine. Without it they are skipped; under SVEB_REQUIRE_ALL=1, as in CI, they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this: mount, or become another user")


def missing(what: str) -> NoReturn:
    """Skips the test; on a machine that is meant to have everything, fails it."""
    if os.environ.get("SVEB_REQUIRE_ALL") == "1":
        pytest.fail(what)
    pytest.skip(what)


def require_bubblewrap() -> None:
    """The sandbox's program is there."""
    if shutil.which("bwrap") is None:
        missing("no bubblewrap on this machine: install it (Debian: apt-get install bubblewrap)")


def require_chromium() -> str:
    """The browser's path."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("no chromium on this machine: install it (Debian: apt-get install chromium)")


def require_package(*names: str) -> None:
    """These optional packages are installed."""
    for name in names:
        if find_spec(name) is None:
            missing(f"the package {name} is not installed: run scripts/setup.sh")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at `folder`, of a size as `mount` writes it ("64k"). Takes root."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode:
        missing("this machine does not let root mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
