"""Finished units on disk: part files written whole and renamed, so that a kill loses at most the units in flight.

<suite>/work/
  plan.json                  the plan; another one is refused
  lock                       held by the running process
  <stage>/000000.parquet ... finished units, in the order in which they finished
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sveb.core.errors import SvebError
from sveb.core.files import disk_errors, dump_json, read_json, write_atomic, write_text
from sveb.generate.plan import differences

_FLUSH_SECONDS = 5.0

UNIT_SCHEMA = pa.schema(
    [
        ("unit_id", pa.string()),
        ("chunk", pa.int32()),
        ("seed", pa.list_(pa.uint32())),
        ("token_ids", pa.list_(pa.list_(pa.int32()))),
        ("n_tokens", pa.list_(pa.int32())),
        ("finish_reason", pa.list_(pa.string())),
        ("return_", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class FinishedUnit:
    """One unit's continuations, in the order of its seeds. `return_` None = not gradable.

    `token_ids` is None where a stage keeps only the returns (a truth continuation that was graded).
    """

    unit_id: str
    chunk: int
    seed: list[int]
    token_ids: list[list[int] | None]
    n_tokens: list[int]
    finish_reason: list[str]
    return_: list[float | None]


class Store:
    """The work folder of one generation. Use as a context manager: it holds the lock."""

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
                    f"another `sveb generate` is writing to {self.folder.parent}: wait for it, or use another --out"
                ) from None
        path = self.folder / "plan.json"
        if path.exists():
            found = differences(read_json(path, "an unfinished generation's plan"), self._plan)
            if found:
                os.close(self._lock)
                raise SvebError(
                    f"{self.folder.parent} holds an unfinished generation with other settings; continue it with "
                    "its own, or choose another --out. It differs in:\n  " + "\n  ".join(found)
                )
        else:
            write_text(path, dump_json(self._plan))
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def parts(self, stage: str) -> list[Path]:
        """Part files of a stage, oldest first."""
        return sorted((self.folder / stage).glob("[0-9]*.parquet"))

    def read(self, stage: str, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """Rows of all finished units of a stage, as dicts. A part that cannot be read is named, with the mend."""
        for path in self.parts(stage):
            try:
                table = pq.read_table(path, columns=columns)
            except (pa.ArrowException, OSError) as error:
                raise SvebError(
                    f"{path} is damaged ({str(error).splitlines()[0]}): delete it and run the same command again; "
                    "its units are then generated anew"
                ) from None
            yield from table.to_pylist()

    def done(self, stage: str) -> set[tuple[str, int]]:
        """(unit_id, chunk) of all finished units of a stage."""
        return {(row["unit_id"], row["chunk"]) for row in self.read(stage, ["unit_id", "chunk"])}

    def append(self, stage: str, unit: FinishedUnit) -> None:
        """Keeps a finished unit; every few seconds what is kept goes to the disk."""
        self._buffers.setdefault(stage, []).append(unit)
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self.flush(stage)

    def flush(self, stage: str) -> None:
        """Writes the kept units of a stage as its next part file."""
        units = self._buffers.pop(stage, [])
        if units:
            parts = self.parts(stage)
            number = int(parts[-1].stem) + 1 if parts else 0
            table = pa.Table.from_pylist([vars(unit) for unit in units], schema=UNIT_SCHEMA)
            write_atomic(
                self.folder / stage / f"{number:06d}.parquet",
                lambda temporary: pq.write_table(table, temporary, compression="zstd"),
            )
        self._flushed_at = time.monotonic()
