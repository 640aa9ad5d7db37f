"""Weights that were made from others (a GGUF file, an adapter), made once and kept on disk.

<cache folder of the user>/models/
  lock                  held while weights are made: one process at a time
  .<name>.<...>.tmp/    work in progress; the next process that holds the lock deletes what a killed one left
  <name>-<key>/         a model folder as transformers saves it, and conversion.json: what it was made from

A folder gets its name when it is complete. Its weights are compared with their checksum at each use. So a killed
conversion, a full disk or a damaged file can cost the work again, but half-written weights are never used.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from sveb.common.cache_folder import cache_folder
from sveb.common.errors import SvebError
from sveb.common.files import disk_errors, dump_json, read_json, write_text
from sveb.policies.weights_digest import weights_digest

_RECORD = "conversion.json"
_FORMAT = 1  # raise it when conversions give other weights or another tokenizer than before: old folders stay unused


@dataclass(frozen=True)
class Conversion:
    """One finished folder. `origin` is what the manifest says of it; `seconds` is what making it took."""

    folder: Path
    origin: dict[str, Any]
    weights_sha256: str
    seconds: float

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def converted(name: str, key: str, origin: dict[str, Any], make: Callable[[Path, Path], None]) -> Conversion:
    """The weights made from what `key` identifies; made now if they are not on this disk yet.

    `make(target, scratch)` writes the model into the empty folder `target`; what it leaves in `scratch` is deleted.
    Raises SvebError if the disk is full, or if a kept folder has changed since.
    """
    digest = hashlib.sha256(f"{_FORMAT} {key}".encode()).hexdigest()[:16]
    root = _root()
    found = _find(root, digest)
    if found is None:
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            with _only_one(root):
                # Another process may have made it while this one waited.
                found = _find(root, digest) or _make(root / f"{name}-{digest}", origin, make)
    if weights_digest(found.folder) != found.weights_sha256:
        raise SvebError(
            f"{found.folder} has changed since it was written: delete this folder, then run the command again"
        )
    return replace(found, origin=origin)  # the same file may have another name now


def conversions() -> list[Conversion]:
    """All finished folders of the cache, by name."""
    root = _root()
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [found for folder in folders if (found := _read(folder)) is not None]


def need_space(folder: Path, size: int) -> None:
    """Raises SvebError if fewer than `size` bytes are free at `folder`: sooner than after minutes of work."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise SvebError(
            f"{_root()} has {free / 1e9:.1f} GB free and the weights need {size / 1e9:.1f} GB: free some space, or "
            "name another folder with the environment variable SVEB_CACHE"
        )


def _root() -> Path:
    return cache_folder() / "models"


def _find(root: Path, digest: str) -> Conversion | None:
    """The name before the digest is for people: the same file may have had another name."""
    return next((found for folder in root.glob(f"*-{digest}") if (found := _read(folder)) is not None), None)


def _read(folder: Path) -> Conversion | None:
    """None if there is no finished conversion at `folder`."""
    if folder.name.startswith(".") or not (folder / _RECORD).is_file():
        return None
    held = read_json(folder / _RECORD, "the record of converted weights")
    return Conversion(folder, held["origin"], held["weights_sha256"], held["seconds"])


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Waits for the lock, which ends with the process that holds it, then deletes what killed processes left."""
    lock = os.open(root / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in root.glob(".*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(lock)


def _make(folder: Path, origin: dict[str, Any], make: Callable[[Path, Path], None]) -> Conversion:
    began = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        target, scratch = work / "new", work / "scratch"
        target.mkdir()
        scratch.mkdir()
        try:
            make(target, scratch)
        except SafetensorError as error:
            if "os error 28" in str(error):
                raise OSError(errno.ENOSPC, str(error)) from error
            raise
        made = Conversion(folder, origin, weights_digest(target), round(time.monotonic() - began, 1))
        record = {"origin": origin, "weights_sha256": made.weights_sha256, "seconds": made.seconds}
        write_text(target / _RECORD, dump_json(record))
        _flush(target)
        if folder.exists():  # without a record: not ours, or damaged
            shutil.rmtree(folder)
        target.rename(folder)
        return made
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Brings all files to the disk: after the folder is renamed, a power cut must not empty them."""
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors keeps its files from other users; the folders decide who may read
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
