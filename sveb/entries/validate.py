"""Finds every fault of every entry in one go, without running their code.

A separate process with limits on memory and time reads the files. A file that is built to exhaust its reader stops
only that process, and becomes a fault of its entry.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sveb.common.child_process import Child
from sveb.common.errors import SvebError
from sveb.common.faults import Fault
from sveb.entries.entry import Summary, clashes, entry_folders, errors_of, read_entry
from sveb.entries.verification_records import FILE, Records, read_records
from sveb.sandbox.inside import receive, send

MEMORY_BYTES, SECONDS = 2**30, 60.0
_MOST_FAULTS = 100
_MESSAGE_BYTES = 2**24
_BESIDE = (FILE, "README.md")


@dataclass(frozen=True)
class Validation:
    """All faults found in `entries` folders, sorted by file."""

    entries: int
    faults: list[Fault]

    @property
    def errors(self) -> list[Fault]:
        """The faults because of which an entry is not published. The others are warnings."""
        return errors_of(self.faults)


def validate(path: Path, *, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> Validation:
    """Checks one entry, or all entries in a folder.

    `seconds` and `memory_bytes` limit the reading of one entry. Raises `SvebError` if there is nothing to check.
    """
    single = path.is_dir() and any(os.path.lexists(path / name) for name in ("metadata.toml", "results", "predictions"))
    folders = [path.resolve()] if single else entry_folders(path)
    if not folders:
        raise SvebError(f"{path} contains no entries: give a folder of <date>_<name>/ folders, or one of them")
    faults = [] if single else list(_faults_next_to_entries(path))
    summaries: list[Summary] = []
    try:
        records = read_records(folders[0].parent)
    except SvebError as error:
        faults.append(Fault(FILE, "", str(error).rpartition(": ")[0], "restore it from the git history"))
        records = Records({})
    with _Reader(seconds, memory_bytes) as reader:
        for folder in folders:
            summary, found = reader.read(folder)
            faults += found
            if summary is not None:
                summaries.append(summary)
                faults += _stale(records, folder, summary.name)
    faults += clashes(summaries)
    return Validation(len(folders), sorted(faults, key=lambda fault: (fault.file, fault.place)))


def _faults_next_to_entries(submissions: Path) -> Iterator[Fault]:
    for path in sorted(submissions.iterdir()):
        if not path.is_dir() and path.name not in _BESIDE and not path.name.startswith("."):
            yield Fault(path.name, "", "is not the folder of an entry", "remove it", "warning")


def _stale(records: Records, folder: Path, name: str) -> Iterator[Fault]:
    for key in records.stale(folder, name):
        wrong = "its verification is about other files, so it is not valid any more"
        yield Fault(f"{folder.name}/results/{key}.json", "", wrong, "a maintainer may verify it again", "warning")


class _Reader:
    """A process that reads entries, one after another. If it has ended, a new one is started."""

    def __init__(self, seconds: float, memory_bytes: int) -> None:
        self._seconds, self._memory_bytes = seconds, memory_bytes
        self._child: Child | None = None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, folder: Path) -> tuple[Summary | None, list[Fault]]:
        """The faults that `read_entry` finds in the folder, or one fault if it cannot be read within the limits."""
        child = self._child or self._start()
        try:
            send(child.socket, str(folder))
            said: dict[str, Any] = receive(child.socket, _MESSAGE_BYTES)
        except OSError:  # it has ended, or takes too long
            self._end()
            limit = f"{self._seconds:g} s and {self._memory_bytes // 2**20} MiB"
            return None, [
                Fault(folder.name, "", f"cannot be read within {limit}", "check that every file is what it should be")
            ]
        summary = Summary(**said["summary"]) if said["summary"] else None
        return summary, [Fault(**fault) for fault in said["faults"]]

    def _start(self) -> Child:
        # The process gets no variable that might hold a secret, and does not import modules from the current folder.
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        environment = kept | {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        self._child = Child("sveb.entries.validate", str(self._memory_bytes), environment=environment, quiet=True)
        self._child.socket.settimeout(self._seconds)
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def _serve(descriptor: int, memory_bytes: int) -> None:
    """The reading process: receives a folder, sends back its faults."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=descriptor) as parent:
        while True:
            try:
                folder = Path(receive(parent))
            except OSError:  # the parent is gone
                return
            try:
                entry, faults = read_entry(folder)
            except Exception as error:  # any error that a file causes is a fault of that file: the entry is refused
                what = f"cannot be checked ({type(error).__name__}: {str(error)[:200]})"
                entry, faults = None, [Fault(folder.name, "", what, "compare it with what `sveb submit` makes")]
            if (more := len(faults) - _MOST_FAULTS) > 0:
                faults.sort(key=lambda fault: fault.severity)  # errors before warnings
                last = Fault(folder.name, "", f"has {more} more", "fix these first", faults[_MOST_FAULTS].severity)
                faults = [*faults[:_MOST_FAULTS], last]
            summary = asdict(Summary.of(entry)) if entry is not None else None
            send(parent, {"summary": summary, "faults": [asdict(fault) for fault in faults]})


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
