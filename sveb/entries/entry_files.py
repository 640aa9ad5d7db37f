"""Decides which files of an entry's folder may be opened. This check runs before any file of an entry is read.

An untrusted folder may contain links that point outside, pipes that block a reader for ever, and files larger than
memory.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sveb.common.faults import FaultList

KIB, MIB = 1024, 1024 * 1024
_MOST_FILES, _DEEPEST = 1000, 8
_PYTHON = re.compile(r"([A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py")
# The files of an entry: the path within its folder, and the largest size in bytes.
_KNOWN: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"metadata\.toml"), 64 * KIB),
    (re.compile(r"README\.md"), 256 * KIB),
    (re.compile(r"requirements\.txt"), 64 * KIB),
    (re.compile(r"results/[^/]+\.json"), 4 * MIB),
    (re.compile(r"predictions/[^/]+\.parquet"), 256 * MIB),
    (_PYTHON, 1 * MIB),
)


@dataclass
class Tree:
    """Paths within the folder. `files` may be opened. `spoiled` may not; their faults are already reported.

    `complete` is False if there were too many files to check.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)
    complete: bool = True

    def has(self, name: str) -> bool:
        """Whether the file is there and may be opened."""
        return name in self.files

    def within(self, folder: str) -> list[Path]:
        """The files of one of its folders, sorted."""
        return [self.folder / name for name in sorted(self.files) if name.startswith(f"{folder}/")]

    @property
    def code(self) -> list[str]:
        """Its Python files, sorted."""
        return sorted(name for name in self.files if _PYTHON.fullmatch(name))


def look_at(folder: Path, reporter: Callable[[str], FaultList]) -> Tree:
    """Sorts the folder's files into the two groups. Follows no link and opens no file."""
    tree = Tree(folder)
    for place, (name, entry) in enumerate(_walk(folder, "", 0)):
        if place >= _MOST_FILES:
            tree.complete = False
            reporter("")(
                "", f"contains more than {_MOST_FILES} files", "remove the files that do not belong to the entry"
            )
            break
        fault, fix = _fault(name, entry)
        if fault:
            tree.spoiled.add(name)
            reporter(name)("", fault, fix)
            continue
        tree.files.append(name)
        if not any(pattern.fullmatch(name) for pattern, _ in _KNOWN):
            reporter(name).warn("", "is not part of an entry", "remove it")
    return tree


def _walk(folder: Path, above: str, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything in the folder, sorted. Enters subfolders, except links and those that are too deep."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{above}{entry.name}"
        if entry.is_dir(follow_symlinks=False) and depth < _DEEPEST:
            if entry.name != "__pycache__":
                yield from _walk(Path(entry.path), f"{name}/", depth + 1)
        else:
            yield name, entry


def _fault(name: str, entry: os.DirEntry[str]) -> tuple[str, str]:
    """Why the file may not be opened, and the fix; empty if it may be opened."""
    if not name.isprintable():
        return "has characters in its name that cannot be shown", "rename it"
    if entry.is_symlink():  # could publish a file of the machine that builds the page
        return "is a symbolic link", "put the file itself there"
    if entry.is_dir(follow_symlinks=False):
        return f"is more than {_DEEPEST} folders deep", "keep the folders flat"
    about = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(about.st_mode):
        return "is not an ordinary file", "put a file there"
    most = next((most for pattern, most in _KNOWN if pattern.fullmatch(name)), 1 * MIB)
    if about.st_size > most:
        return f"has {about.st_size} bytes, more than the limit of {most}", "check that it is the right file"
    return "", ""
