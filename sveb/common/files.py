"""Writes files so that a reader never sees half a file, and turns disk errors into messages that say what to do."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns errors of the operating system at `path` into errors that name the fix."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SvebError(f"no space left for {path}: free some space and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise SvebError(
                f"no permission to write {path}: choose another folder or change its permissions"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise SvebError(f"cannot write {path}: there is a file where a folder is needed, or the reverse") from error
        raise


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write(temporary)`, flushes the file to the disk and renames it to `path`: the whole file or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Atomic write of UTF-8 text with a closing newline."""
    write_atomic(path, lambda temporary: temporary.write_text(text.rstrip("\n") + "\n", encoding="utf-8"))


def dump_json(value: Any) -> str:
    """The JSON format of all files: readable, stable, without NaN (JSON has none)."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)


def without_nan(value: Any) -> Any:
    """Tables and lists with null instead of numbers that JSON has not: NaN and infinity."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, what: str) -> Any:
    """The parsed file. Raises `SvebError` if it is missing or broken; the message names `what` it should be."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SvebError(f"{what}: {path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SvebError(f"{what}: {path} is not valid JSON ({error})") from None


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
