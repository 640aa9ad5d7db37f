"""manifest.json: everything needed to know, cite and rebuild a suite."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, write_text

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """A suite's identity.

    `files` maps a file name to {"sha256", "bytes", "rows"}. `statistics` and `generation` are figures of the
    finished suite: values' spread, truncation, missing grades; tokens and wall seconds. `notes` holds what sets
    the suite apart from a standard one: `leaks` (what estimators see that they should not), `truth` (how continuations
    were allocated, where not evenly), `import` (where the data come from and what is wrong with them), `refresh` (which
    suite has the same inputs and an older truth). `private`, of a split suite: `problems` (the ids whose truth is kept
    apart) and `commitment` (suite/private_truth.py).
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
    private: dict[str, Any] = field(default_factory=dict)
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
        if not _private_part(raw.get("private", {})):
            raise SvebError(f"{path}: its private part must name problems, a list of ids, and a commitment")
        return cls(**raw)

    @property
    def private_problems(self) -> frozenset[str]:
        """Test problems whose truth is kept apart; none unless the suite was split."""
        return frozenset(self.private.get("problems", ()))

    @property
    def checksum(self) -> str:
        """sha256 of all but `generation`: of what the suite holds, not of how long it took.

        It covers `files`, hence the checksum of every table. Empty `notes` and an empty `private` are left out: a suite
        written before there were any keeps its checksum.
        """
        empty = {key for key in ("notes", "private") if not getattr(self, key)}
        identity = {key: value for key, value in asdict(self).items() if key not in {"generation", *empty}}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Writes manifest.json: the last file of a suite, whose presence says that it is complete."""
        held = {key: value for key, value in asdict(self).items() if key != "private" or value}
        write_text(folder / "manifest.json", dump_json(held))


def _private_part(raw: Any) -> bool:
    """Whether a manifest's `private` is empty or what it should be."""
    if raw == {}:
        return True
    if not isinstance(raw, dict) or raw.keys() != {"problems", "commitment"}:
        return False
    problems, promise = raw["problems"], raw["commitment"]
    listed = isinstance(problems, list) and bool(problems) and all(isinstance(name, str) for name in problems)
    return listed and isinstance(promise, str) and re.fullmatch("[0-9a-f]{64}", promise) is not None
