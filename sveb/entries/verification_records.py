"""What maintainers have verified: submissions/verified.json, one file that contributors must not change.

    {"schema_version": 1, "records": {"<name>": {"<suite>": {"tier": "reproduced", ...}}}}

A record contains the checksums of the files that were verified. If an entry's files have changed since, the record
gives no tier.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.faults import FaultList
from sveb.common.files import dump_json, read_json, sha256, write_text
from sveb.entries.entry_files import MIB, look_at
from sveb.suite.migrate import VERIFICATIONS

FILE = "verified.json"
SELF_REPORTED, REPRODUCED, HIDDEN_TRUTH = TIERS = ("self-reported", "reproduced", "hidden truth")
_MOST_BYTES = 16 * MIB


@dataclass(frozen=True)
class Record:
    """One verification of an entry on a suite, by `sveb verify`.

    `code_sha256` covers all Python files of the entry; None for a built-in. `largest_difference` is the largest one
    between the two values of a state, `tolerance` the largest that was allowed. `confined`: the code ran in the
    sandbox. `truth` is the commitment of the hidden truth that the predictions were scored on, None for the suite's
    own truth. `hidden` are the scores on the hidden truth: value, low and high by metric. `reason` says why an entry
    stays self-reported.
    """

    tier: str
    sveb_version: str
    suite_sha256: str
    code_sha256: str | None
    predictions_sha256: str
    results_sha256: str
    tolerance: float
    largest_difference: float | None
    confined: bool
    truth: str | None = None
    hidden: dict[str, list[float | None]] | None = None
    reason: str | None = None

    def is_about(self, folder: Path, key: str) -> bool:
        """Whether the entry's files are those that were verified."""
        return (self.code_sha256, self.predictions_sha256, self.results_sha256) == digests(folder, key)


@dataclass(frozen=True)
class Records:
    """All records, by the entry's name and the suite key."""

    by_name: dict[str, dict[str, Record]]

    def of(self, folder: Path, name: str) -> dict[str, Record]:
        """The records of an entry that match its current files."""
        return {key: record for key, record in self.by_name.get(name, {}).items() if record.is_about(folder, key)}

    def stale(self, folder: Path, name: str) -> list[str]:
        """Suite keys whose record does not match the current files."""
        return sorted(key for key, record in self.by_name.get(name, {}).items() if not record.is_about(folder, key))

    def with_record(self, name: str, key: str, record: Record) -> Records:
        """These records and a new one, which replaces an earlier one on the same suite."""
        return Records(self.by_name | {name: self.by_name.get(name, {}) | {key: record}})

    def write(self, submissions: Path) -> Path:
        """Writes the whole file or nothing, sorted by name."""
        raw = {
            name: {key: asdict(record) for key, record in sorted(records.items())}
            for name, records in sorted(self.by_name.items())
        }
        write_text(submissions / FILE, dump_json({"schema_version": VERIFICATIONS.version, "records": raw}))
        return submissions / FILE


def read_records(submissions: Path) -> Records:
    """The records next to the entries; empty if nothing is verified yet. Raises SvebError if the file is invalid."""
    path = submissions / FILE
    if not os.path.lexists(path):
        return Records({})
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise SvebError(
            f"{path} is not an ordinary file of at most {_MOST_BYTES} bytes: restore it from the git history"
        )
    try:
        raw = VERIFICATIONS.current(read_json(path, VERIFICATIONS.what), path)
        records = {
            name: {key: Record(**record) for key, record in of_name.items()} for name, of_name in raw["records"].items()
        }
        for of_name in records.values():
            for record in of_name.values():
                TIERS.index(record.tier)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SvebError(f"{path} is not a record of verifications ({error}): restore it from the git history") from None
    return Records(records)


def weakest(tiers: Iterable[str]) -> str:
    """The lowest of the tiers; self-reported if there are none."""
    return min(tiers, key=TIERS.index, default=SELF_REPORTED)


def digests(folder: Path, key: str) -> tuple[str | None, str, str]:
    """Checksums of an entry's code, predictions and results on a suite; empty for an absent file."""
    files = (folder / "predictions" / f"{key}.parquet", folder / "results" / f"{key}.json")
    predictions, results = (sha256(path) if path.is_file() else "" for path in files)
    return code_sha256(folder), predictions, results


def code_sha256(folder: Path) -> str | None:
    """One digest over names and bytes of all Python files of an entry; None if there are no such files."""
    names = look_at(folder, FaultList).code
    parts = {name: sha256(folder / name) for name in names}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest() if parts else None
