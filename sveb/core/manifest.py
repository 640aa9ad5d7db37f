"""manifest.json: everything needed to know, cite and rebuild a suite."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sveb.core.errors import SvebError
from sveb.core.files import dump_json, read_json, write_text

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """A suite's identity.

    `files` maps a file name to {"sha256", "bytes", "rows"}. `statistics` and `generation` are figures of the
    finished suite: values' spread, truncation, missing grades; tokens and wall seconds. `notes` holds what sets
    the suite apart from a standard one: `leaks` (what estimators see that they should not), `truth` (how continuations
    were allocated, where not evenly), `import` (where the data come from and what is wrong with them).
    """

    name: str
    version: str
    protocol: str
    task: dict[str, Any]
    policy: dict[str, Any]
    sampling: dict[str, Any]
    counts: dict[str, int]
    seed: int
    statistics: dict[str, Any] = field(default_factory=dict)
    generation: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Reads and checks `folder`/manifest.json."""
        path = folder / "manifest.json"
        raw = read_json(path, "a suite's manifest")
        if not isinstance(raw, dict) or "schema_version" not in raw:
            raise SvebError(f"{path} is not a suite's manifest: it has no schema_version")
        if raw["schema_version"] != SCHEMA_VERSION:
            raise SvebError(
                f"{path} has schema version {raw['schema_version']!r}, this sveb reads {SCHEMA_VERSION}: "
                "install the sveb that wrote it, or generate the suite again"
            )
        known = {f.name for f in fields(cls)}
        missing = sorted({"name", "version", "protocol", "task", "policy", "sampling", "counts", "seed"} - set(raw))
        if missing or set(raw) - known:
            found = f"missing {missing}" if missing else f"unknown {sorted(set(raw) - known)}"
            raise SvebError(f"{path} is not a suite's manifest of version {SCHEMA_VERSION}: keys {found}")
        return cls(**raw)

    @property
    def checksum(self) -> str:
        """sha256 of all but `generation`: of what the suite holds, not of how long it took.

        It covers `files`, hence the checksum of every table. Empty `notes` are left out: a suite written before there
        were any keeps its checksum.
        """
        left_out = {"generation"} if self.notes else {"generation", "notes"}
        identity = {key: value for key, value in asdict(self).items() if key not in left_out}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Writes manifest.json: the last file of a suite, whose presence says that it is complete."""
        write_text(folder / "manifest.json", dump_json(asdict(self)))
