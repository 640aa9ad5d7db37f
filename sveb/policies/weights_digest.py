"""What identifies weights: one sha256 over all weight files of a folder."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import sha256


def weights_digest(folder: Path) -> str:
    """sha256 over the sha256 of each *.safetensors in `folder`, in the order of their names."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise SvebError(f"{folder} contains no *.safetensors: save the model with save_pretrained(folder)")
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of one file. Kept by size and time of change: a command asks several times, and it may be 15 GB."""
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns)


@cache
def _digest(path: Path, _size: int, _changed: int) -> str:
    return sha256(path)
