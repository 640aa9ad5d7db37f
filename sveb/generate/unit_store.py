"""Finished units on disk. Part files are written as a whole and renamed: a kill loses only the newest units.

<suite>/work/
  plan.json                  the plan; a run with another plan is refused
  lock                       held by the running process
  <stage>/000000.parquet ... finished units, in the order in which they finished
  crash.txt                  the traceback of an engine that failed
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors, dump_json, read_json, write_atomic, write_text
from sveb.generate.plan import differences
from sveb.generate.units import FinishedUnit

FLUSH_SECONDS = 5.0  # between part files: a kill loses at most the units of this time

UNIT_SCHEMA = pa.schema(
    [
        ("unit_id", pa.string()),
        ("chunk", pa.int32()),
        ("problem_id", pa.string()),
        ("response", pa.list_(pa.int32())),
        ("seed", pa.list_(pa.uint32())),
        ("token_ids", pa.list_(pa.list_(pa.int32()))),
        ("n_tokens", pa.list_(pa.int32())),
        ("finish_reason", pa.list_(pa.string())),
        ("return_", pa.list_(pa.float32())),
    ]
)


class Store:
    """The work folder of one generation. Use it as a context manager, which holds the lock."""

    def __init__(self, suite: Path, plan: dict[str, Any]) -> None:
        self.folder = suite / "work"
        self._plan = plan
        self._buffers: dict[str, list[FinishedUnit]] = {}
        self._flushed_at = time.monotonic()
        self._lock: int | None = None

    def __enter__(self) -> Store:
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                raise SvebError(
                    f"another process is writing to {self.folder.parent}: wait for it, or choose another --out"
                ) from None
        path = self.folder / "plan.json"
        if path.exists():
            found = differences(read_json(path, "an unfinished generation's plan"), self._plan)
            if found:
                os.close(self._lock)
                raise SvebError(
                    f"{self.folder.parent} holds an unfinished generation with other settings: continue it with its "
                    "own settings, or choose another folder with --out. The settings differ in:\n  "
                    + "\n  ".join(found)
                )
        else:
            write_text(path, dump_json(self._plan))
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    @property
    def begun(self) -> bool:
        """Whether an earlier run has left finished units."""
        return any(self.folder.glob("*/[0-9]*.parquet"))

    def parts(self, stage: str) -> list[Path]:
        """Part files of a stage, oldest first."""
        return sorted((self.folder / stage).glob("[0-9]*.parquet"))

    def rows(self, part: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
        """The finished units of one part, as dicts."""
        found: list[dict[str, Any]] = self._table(part, columns).to_pylist()
        return found

    def read(self, stage: str, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """All finished units of a stage, as dicts, in the order in which they finished."""
        for part in self.parts(stage):
            yield from self.rows(part, columns)

    def _table(self, part: Path, columns: list[str] | None) -> pa.Table:
        try:
            return pq.read_table(part, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise SvebError(
                f"{part} is damaged ({str(error).splitlines()[0]}): delete it and run the same command again, which "
                "generates its units again"
            ) from None

    def in_order(
        self, stage: str, places: Mapping[str, int], columns: list[str], at_once: int = 1024
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """(unit_id, its units by chunk) for every id, in the order of `places`.

        Units are stored in the order in which they finished. For the next `at_once` ids only the parts that hold
        some of them are read, so that memory does not grow with the stage.
        """
        held: list[tuple[Path, np.ndarray[Any, np.dtype[np.int64]]]] = []
        for part in self.parts(stage):
            names = self._table(part, ["unit_id"])["unit_id"].to_pylist()
            held.append((part, np.fromiter((places.get(name, -1) for name in names), np.int64, len(names))))
        ids = list(places)
        for start in range(0, len(ids), at_once):
            found: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for part, numbers in held:
                wanted = np.flatnonzero((numbers >= start) & (numbers < start + at_once))
                if len(wanted):
                    for row in self._table(part, ["unit_id", "chunk", *columns]).take(wanted).to_pylist():
                        found[row["unit_id"]].append(row)
            for name in ids[start : start + at_once]:
                yield name, sorted(found[name], key=lambda row: int(row["chunk"]))

    def done(self, stage: str) -> dict[str, set[int]]:
        """The finished chunks of a stage, by unit_id."""
        chunks: dict[str, set[int]] = defaultdict(set)
        for row in self.read(stage, ["unit_id", "chunk"]):
            chunks[row["unit_id"]].add(row["chunk"])
        return chunks

    def ungraded(self, part: Path) -> int:
        """How many continuations of a part have no return."""
        return int(self._table(part, ["return_"])["return_"].combine_chunks().flatten().null_count)

    def append(self, stage: str, unit: FinishedUnit) -> None:
        """Keeps a finished unit in memory; every few seconds all of them are written to disk."""
        self._buffers.setdefault(stage, []).append(unit)
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush(stage)

    def flush(self, stage: str) -> None:
        """Writes the units that are in memory as the next part file of the stage."""
        units = self._buffers.pop(stage, [])
        if units:
            parts = self.parts(stage)
            number = int(parts[-1].stem) + 1 if parts else 0
            self.replace(self.folder / stage / f"{number:06d}.parquet", [vars(unit) for unit in units])
        self._flushed_at = time.monotonic()

    def replace(self, part: Path, rows: list[dict[str, Any]]) -> None:
        """Writes or replaces a part file, as a whole or not at all."""
        table = pa.Table.from_pylist(rows, schema=UNIT_SCHEMA)
        write_atomic(part, lambda temporary: pq.write_table(table, temporary, compression="zstd"))

    def note_crash(self, text: str) -> Path:
        """Writes an engine's traceback to a file and returns its path; a dry run has no store: a new folder."""
        folder = Path(tempfile.mkdtemp(prefix="sveb-")) if self._lock is None else self.folder
        write_text(folder / "crash.txt", text)
        return folder / "crash.txt"
