"""Every fault of every entry at once, without running any of their code.

The reading itself is done by a process of its own, with limits on memory and time: a file that is made to exhaust its
reader ends that process and becomes a fault of its entry.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.faults import Fault
from sveb.entries.entry import Summary, clashes, entry_folders, errors_of, read_entry
from sveb.entries.verification_records import FILE, Records, read_records

MEMORY_BYTES, SECONDS = 2**30, 60.0
_MOST_FAULTS = 100
_BESIDE = (FILE, "README.md")


@dataclass(frozen=True)
class Validation:
    """What was found of `entries` folders, in order of file."""

    entries: int
    faults: list[Fault]

    @property
    def errors(self) -> list[Fault]:
        """The faults that keep entries off the page; the others are warnings."""
        return errors_of(self.faults)


def validate(path: Path, *, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> Validation:
    """Checks one entry, or all in a folder of entries.

    `seconds` and `memory_bytes` are what the reading of one entry may take. Raises `SvebError` where there is nothing
    to check.
    """
    single = path.is_dir() and any(os.path.lexists(path / name) for name in ("metadata.toml", "results", "predictions"))
    folders = [path.resolve()] if single else entry_folders(path)
    if not folders:
        raise SvebError(f"{path} holds no entries: give a folder of <date>_<name>/ folders, or one of them")
    faults = [] if single else list(_beside(path))
    summaries: list[Summary] = []
    try:
        records = read_records(folders[0].parent)
    except SvebError as error:
        faults.append(Fault(FILE, "", str(error).rpartition(": ")[0], "restore it from the history"))
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


def _beside(submissions: Path) -> Iterator[Fault]:
    for path in sorted(submissions.iterdir()):
        if not path.is_dir() and path.name not in _BESIDE and not path.name.startswith("."):
            yield Fault(path.name, "", "is no folder of an entry", "remove it", "warning")


def _stale(records: Records, folder: Path, name: str) -> Iterator[Fault]:
    for key in records.stale(folder, name):
        wrong = "its verification is about other files, and counts no more"
        yield Fault(f"{folder.name}/results/{key}.json", "", wrong, "a maintainer may verify it again", "warning")


class _Reader:
    """A process that reads entries, one after another; a new one where the last has ended."""

    def __init__(self, seconds: float, memory_bytes: int) -> None:
        self._seconds, self._memory_bytes = seconds, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, folder: Path) -> tuple[Summary | None, list[Fault]]:
        """What `read_entry` says of the folder, or that it cannot be read within the limits."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended: there is no answer
            process.stdin.write(json.dumps(str(folder)).encode() + b"\n")
            process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._seconds)
        line = process.stdout.readline() if ready else b""
        if not line.endswith(b"\n"):
            self._end()
            limit = f"{self._seconds:g} s and {self._memory_bytes // 2**20} MiB"
            return None, [Fault(folder.name, "", f"cannot be read within {limit}", "is every file what it should be?")]
        said: dict[str, Any] = json.loads(line)
        summary = Summary(**said["summary"]) if said["summary"] else None
        return summary, [Fault(**fault) for fault in said["faults"]]

    def _start(self) -> subprocess.Popen[bytes]:
        # No variable that might hold a secret goes along, nor the folder it is started in as a place of modules.
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sveb.entries.validate", str(self._memory_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=kept | {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )  # fmt: skip
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _serve(memory_bytes: int) -> None:
    """The reading process: a folder a line comes in, its faults go out."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with _own_output() as answer:
        for line in sys.stdin:
            folder = Path(json.loads(line))
            try:
                entry, faults = read_entry(folder)
            except Exception as error:  # whatever a file provokes is its own fault: the entry is refused
                what = f"cannot be checked ({type(error).__name__}: {str(error)[:200]})"
                entry, faults = None, [Fault(folder.name, "", what, "compare it with what `sveb submit` makes")]
            if (more := len(faults) - _MOST_FAULTS) > 0:
                faults.sort(key=lambda fault: fault.severity)  # errors before warnings
                last = Fault(folder.name, "", f"has {more} more", "fix these first", faults[_MOST_FAULTS].severity)
                faults = [*faults[:_MOST_FAULTS], last]
            summary = asdict(Summary.of(entry)) if entry is not None else None
            answer.write(json.dumps({"summary": summary, "faults": [asdict(fault) for fault in faults]}).encode())
            answer.write(b"\n")
            answer.flush()


@contextmanager
def _own_output() -> Iterator[Any]:
    """The real stdout; what a library prints meanwhile goes nowhere."""
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        yield answer


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
