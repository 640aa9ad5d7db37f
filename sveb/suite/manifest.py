"""manifest.json: everything needed to know, cite and rebuild a suite."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, write_text
from sveb.suite.migrate import MANIFEST


def version_numbers(version: str) -> tuple[int, int, int]:
    """The numbers of a suite's version, such as (1, 0, 0) of "1.0.0". Raises SvebError if there are not three."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        raise SvebError(f"the suite's version is {version!r}: expected three numbers, such as 1.0.0")
    return int(found[1]), int(found[2]), int(found[3])


@dataclass(frozen=True)
class Manifest:
    """A suite's identity.

    `files` maps a file name to {"sha256", "bytes", "rows"}. `statistics` and `generation` are figures of the
    finished suite: spread of the values, truncation, missing grades; tokens and wall seconds. `task.grader` {name,
    version} is the grader of the responses. `notes` says how the suite differs from a standard one: `leaks` (what
    estimators see but should not see), `truth` (how continuations were allocated, if not evenly), `import` (where the
    data come from and what is wrong with them), `refresh` (the suite with the same inputs and an older truth).
    `private`, only in a split suite: `problems` (the ids whose truth is kept separately) and `commitment`
    (suite/private_truth.py).
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
    schema_version: int = MANIFEST.version

    # The content of the file if the manifest was read from one: its identity, also after migrations in memory.
    _written: ClassVar[dict[str, Any] | None] = None

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Reads and checks `folder`/manifest.json."""
        path = folder / "manifest.json"
        raw = read_json(path, "a suite's manifest")
        held = MANIFEST.current(raw, path)
        known = {f.name for f in fields(cls)}
        missing = sorted({"name", "version", "protocol", "task", "policy", "sampling", "counts", "seed"} - set(held))
        if missing or set(held) - known:
            found = f"missing {missing}" if missing else f"unknown {sorted(set(held) - known)}"
            raise SvebError(f"{path} is not a suite manifest of version {raw['schema_version']}: keys {found}")
        if not _private_part(held.get("private", {})):
            raise SvebError(f"{path}: its private part must name problems, a list of ids, and a commitment")
        manifest = cls(**held)
        object.__setattr__(manifest, "_written", raw)
        return manifest

    @property
    def grader(self) -> str:
        """The grader of the responses, such as `math 2`: its name and the version of its rules."""
        if "grader" not in self.task and self.policy.get("engine") == "imported":
            return "that of the imported data"
        grader = self.task.get("grader") or {"name": None, "version": 0}
        return f"{grader['name']} {grader['version']}" if grader["version"] else "before versions"

    @property
    def private_problems(self) -> frozenset[str]:
        """Test problems whose truth is kept separately; empty if the suite was not split."""
        return frozenset(self.private.get("problems", ()))

    @property
    def checksum(self) -> str:
        """sha256 of everything except `generation`: of what the suite contains, not of how long it took.

        It covers `files`, and so the checksum of every table. It is computed from the manifest as it was written, so a
        suite of an older schema version keeps its checksum. Empty `notes` and an empty `private` are left out.
        """
        held = {"statistics": {}, "files": {}} | self._content
        empty = {key for key in ("notes", "private") if not held.get(key)}
        identity = {key: value for key, value in held.items() if key not in {"generation", *empty}}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Writes manifest.json, the last file of a suite. If it exists, the suite is complete.

        A manifest that was read from a file is written in the same schema version, which is part of its identity.
        """
        held = {key: value for key, value in self._content.items() if key != "private" or value}
        write_text(folder / "manifest.json", dump_json(held))

    @property
    def _content(self) -> dict[str, Any]:
        return asdict(self) if self._written is None else self._written


def _private_part(raw: Any) -> bool:
    """Whether a manifest's `private` is empty or valid."""
    if raw == {}:
        return True
    if not isinstance(raw, dict) or raw.keys() != {"problems", "commitment"}:
        return False
    problems, promise = raw["problems"], raw["commitment"]
    listed = isinstance(problems, list) and bool(problems) and all(isinstance(name, str) for name in problems)
    return listed and isinstance(promise, str) and re.fullmatch("[0-9a-f]{64}", promise) is not None
