"""What an import has to report, and reading the fields of foreign rows: errors name the file, the row and the key."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.text import first_few, shortened

Tokens = list[int]


@dataclass
class Findings:
    """Warnings by kind, each with the places (`file, row 3`) where it applies."""

    warnings: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def warn(self, what: str, place: str) -> None:
        self.warnings[what].append(place)

    @property
    def counted(self) -> dict[str, str]:
        """By kind: how often, and the first places. For the manifest and for the console."""
        return {what: f"{len(places)} ({first_few(places, 3)})" for what, places in self.warnings.items()}

    @property
    def reasons(self) -> str:
        """All of them in brackets, for the end of an error; empty if there are none."""
        listed = "; ".join(f"{what}: {count}" for what, count in self.counted.items())
        return f" ({listed})" if listed else ""


@dataclass(frozen=True)
class Row:
    """One row of a foreign file. Every method raises SvebError that names `place` and the key."""

    place: str
    values: Mapping[str, Any]

    def wrong(self, key: str, expected: str) -> SvebError:
        """The error for a value of another kind than expected."""
        if key not in self.values:
            found = first_few(sorted(self.values), 12) or "none"
            return SvebError(f"{self.place}: the key {key!r} is missing; found the keys {found}")
        return SvebError(f"{self.place}: {key} is {shortened(repr(self.values[key]), 60)}: expected {expected}")

    def get(self, key: str) -> Any:
        """The value, or None if the key is missing."""
        return self.values.get(key)

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def whole(self, key: str) -> int:
        value = self.values.get(key)
        if isinstance(value, float) and value.is_integer():  # a column with a missing value is stored as floats
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, "a whole number")
        return value

    def number(self, key: str) -> float | None:
        """A number; None if it is null or NaN: a reward that was not computed."""
        value = self.values.get(key, "")
        if value is None:
            return None
        if not isinstance(value, int | float):
            raise self.wrong(key, "a number")
        return None if math.isnan(value) else float(value)

    def tokens(self, key: str) -> Tokens:
        value = self.values.get(key)
        if not isinstance(value, list) or not all(type(each) is int and each >= 0 for each in value):
            raise self.wrong(key, "a list of token ids")
        return value

    def list(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def table(self, key: str) -> Row:
        value = self.values.get(key)
        if not isinstance(value, Mapping):
            raise self.wrong(key, "a table")
        return Row(f"{self.place}, {key}", value)


def jsonl_rows(path: Path, findings: Findings) -> Iterator[Row]:
    """The rows of a jsonl file. A last line that was cut off is reported and left out; other bad lines are errors."""
    cut: tuple[str, str] | None = None
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            place = f"{path.name}, line {number}"
            if cut is not None:
                raise SvebError(f"{path.parent / cut[0]} is not valid JSON ({cut[1]})")
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                cut = place, error.msg
                continue
            if not isinstance(value, dict):
                raise SvebError(f"{path.parent / place}: expected an object, found a {type(value).__name__}")
            yield Row(place, value)
    if cut is not None:
        findings.warn("the last line was cut off: left out", cut[0])


def table_rows(path: Path, findings: Findings) -> Iterator[Row]:
    """The rows of a parquet file, a few at a time."""
    del findings
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches(1024):
            for values in batch.to_pylist():
                number += 1
                yield Row(f"{path.name}, row {number}", values)
    except (pa.ArrowException, OSError) as error:
        raise SvebError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}") from None


def answer_text(value: Any) -> str:
    """A reference answer as text: a list of one answer is that answer, other lists and tables are written as JSON."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
