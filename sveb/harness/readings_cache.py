"""Readings of the policy, kept on disk: computed once per suite, shared by all its runs, charged every time.

<cache folder of the user>
  readings/<suite>-<checksum>/<kind>-<key>/<ab>/<sha256 of the tokens>    one array per sequence
  readings/<suite>-<checksum>/<kind>-<key>/used                           its time is the folder's last use

The key covers weights, engine, dtype, machine and what was read (the layer). A reading holds the seconds that it took
to compute, because the method is charged for them either way; the machine is in the key so that its seconds are never
charged on another. A reading is written to a temporary file and renamed, and its checksum is compared when it is read.
So parallel runs, kill -9 or a lost disk can lose a reading, but never give a wrong one. Only the harness opens the
cache: an estimator's process gets what it asks for through the broker, cached or not. A suite's folder is used only if
it belongs to this user and nobody else can write to it: a checksum does not show who wrote a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sveb.contract.problem import Floats

LIMIT_BYTES = 8 * 2**30
_MEASURED_EVERY = 2**28  # bytes written between two measurements of the cache: other runs write too
_HEAD = struct.Struct("<8sIdQQ")  # magic, crc32 of all that follows it, seconds, rows, columns (0: a flat array)
_MAGIC = b"svebread"
_SUM_AT = 12  # where the checksum ends


class Readings:
    """The arrays of one suite and policy. A cache that cannot be read or written acts as an empty one.

    `identity` is what the arrays depend on besides kind and tokens.
    """

    def __init__(self, root: Path, suite: str, identity: dict[str, Any], limit: int = LIMIT_BYTES) -> None:
        self._root = root / "readings"
        self._suite = self._root / suite
        self._identity = identity
        self._limit = limit
        self._folders: dict[str, Path] = {}
        self._used: set[str] = set()
        self._room: int | None = None  # bytes that may still be written; 0: no more in this run
        self._names = itertools.count()
        self._own: bool | None = None  # whether the suite's folder may be used; None: not looked at yet

    def get(self, kind: str, tokens: Sequence[int]) -> tuple[Floats, float] | None:
        """The array of this sequence and the seconds that it took, or None."""
        if not self._is_own():
            return None
        try:
            raw = self._path(kind, tokens).read_bytes()
        except OSError:
            return None
        self._use(kind)
        return _unpacked(raw)

    def put(self, kind: str, tokens: Sequence[int], array: Floats, seconds: float) -> None:
        """Keeps an array of one or two dimensions, if there is room."""
        data = _packed(array, seconds)
        with contextlib.suppress(OSError):
            if not self._is_own() or not self._makes_room(len(data)):
                return
            path = self._path(kind, tokens)
            temporary = path.with_name(f".{os.getpid()}-{next(self._names)}.tmp")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
                temporary.replace(path)
                self._use(kind)
                return
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
        self._room = 0  # a full or unwritable disk: trying again at every reading would only cost time

    def _is_own(self) -> bool:
        if self._own is None:
            self._own = False
            with contextlib.suppress(OSError):
                self._root.mkdir(parents=True, exist_ok=True)
                self._suite.mkdir(mode=0o700, exist_ok=True)
                found = self._suite.lstat()
                writable = bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
                self._own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not writable
        return self._own

    def _path(self, kind: str, tokens: Sequence[int]) -> Path:
        name = hashlib.sha256(np.asarray(tokens, dtype="<i4").tobytes()).hexdigest()
        return self._folder(kind) / name[:2] / name[2:]

    def _folder(self, kind: str) -> Path:
        if kind not in self._folders:
            key = hashlib.sha256(json.dumps([kind, self._identity], sort_keys=True).encode()).hexdigest()[:16]
            self._folders[kind] = self._suite / f"{kind}-{key}"
        return self._folders[kind]

    def _use(self, kind: str) -> None:
        if kind not in self._used:
            self._used.add(kind)
            with contextlib.suppress(OSError):
                (self._folder(kind) / "used").touch()

    def _makes_room(self, size: int) -> bool:
        """Whether `size` more bytes may be written. Deletes the folders unused for longest, never this run's own."""
        if self._room is None or 0 < self._room < size:
            self._room = min(self._measured(), _MEASURED_EVERY)
        if self._room < size:
            self._room = 0
            return False
        self._room -= size
        return True

    def _measured(self) -> int:
        """Bytes that may be written, after deleting old folders. The cache takes at most half of the free disk."""
        sizes = {folder: sum(_sizes(folder)) for folder in self._root.glob("*/*")}
        held = sum(sizes.values())
        self._root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._root).free
        limit = min(self._limit, (free + held) // 2)
        others = sorted((folder for folder in sizes if folder not in self._folders.values()), key=_last_use)
        for folder in others:
            if held + _MEASURED_EVERY <= limit:
                break
            shutil.rmtree(folder, ignore_errors=True)
            held -= sizes[folder]
        return max(0, limit - held)


def _packed(array: Floats, seconds: float) -> bytes:
    rows, columns = (*array.shape, 0)[:2]
    head = _HEAD.pack(_MAGIC, 0, seconds, rows, columns)
    data = np.ascontiguousarray(array, dtype="<f4").tobytes()
    total = zlib.crc32(data, zlib.crc32(head[_SUM_AT:]))
    return head[:8] + struct.pack("<I", total) + head[_SUM_AT:] + data


def _unpacked(raw: bytes) -> tuple[Floats, float] | None:
    """None for anything that `_packed` did not make."""
    if len(raw) < _HEAD.size:
        return None
    magic, total, seconds, rows, columns = _HEAD.unpack_from(raw)
    data = memoryview(raw)
    if magic != _MAGIC or zlib.crc32(data[_SUM_AT:]) != total:
        return None
    flat = np.frombuffer(raw, dtype="<f4", offset=_HEAD.size)
    return (flat.reshape(rows, columns) if columns else flat), float(seconds)


def _sizes(folder: Path) -> Iterator[int]:
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield 512 * Path(where, name).stat().st_blocks


def _last_use(folder: Path) -> float:
    try:
        return (folder / "used").stat().st_mtime
    except OSError:
        return 0.0
