"""The private part of a split suite: the truth of some problems, kept separately, and the public commitment to it.

<secret>/
  private.json       which public suite it belongs to; the seed of its truth if it differs from the suite's seed
  salt               32 random bytes, in hex: without them nobody can test a guessed truth against the commitment
  rollouts.parquet   the complete probe rollouts of the private problems
  truth.parquet      the rows of the private problems
  states.parquet     the same, with the steps that follow; only if the suite knows these
  audit.parquet      the same, only if the suite has an audit pool

The commitment is in the public manifest. It is the output of this command:

    (cat salt; sha256sum *.parquet) | sha256sum
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, sha256, write_text
from sveb.suite.manifest import Manifest
from sveb.suite.migrate import PRIVATE
from sveb.suite.suite import Suite
from sveb.suite.tables import SCHEMAS, read_table

TABLES = ("audit", "rollouts", "states", "truth")
_OPTIONAL = ("audit", "states")  # kept only if the suite knows them


@dataclass(frozen=True)
class Private:
    """A private part that matches its commitment."""

    folder: Path

    @classmethod
    def open(cls, path: Path, suite: Suite) -> Private:
        """The private part of `suite` at `path`, a folder or any file in it.

        Raises SvebError if the suite has no private part, if it belongs to another suite, or if its files do not match
        the commitment in the suite's manifest.
        """
        folder = locate(path, suite)
        raw = PRIVATE.current(read_json(folder / "private.json", PRIVATE.what), folder / "private.json")
        expected, found = suite.manifest.private["commitment"], commitment(folder)
        if found != expected:
            whose = raw.get("suite")
            raise SvebError(
                f"{folder} does not match the commitment of {suite.name} {suite.manifest.version}: expected the "
                f"commitment {expected[:16]}..., found {found[:16]}... (it says that it belongs to {whose}): give the "
                "private folder that `sveb suite split` wrote for this suite"
            )
        return cls(folder)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files that an estimator must not read."""
        return tuple(sorted(self.folder.resolve().iterdir()))

    @property
    def tables(self) -> list[str]:
        """Those of TABLES that it holds."""
        return present(self.folder)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One of TABLES, or some of its columns; empty if the suite has no such data."""
        if name not in self.tables:
            empty = SCHEMAS[name].empty_table()
            return empty if columns is None else empty.select(list(columns))
        return read_table(self.folder / f"{name}.parquet", columns)


def locate(path: Path, suite: Suite) -> Path:
    """The folder of the private part that `path` names. Opens no file. Raises SvebError if it cannot be one."""
    if not suite.manifest.private:
        raise SvebError(
            f"{suite.name} {suite.manifest.version} has no private part, its truth is complete: leave --truth out "
            "(`sveb suite split` makes a suite with a private part)"
        )
    folder = path if path.is_dir() else path.parent
    needed = ("private.json", "salt", *(f"{table}.parquet" for table in TABLES if table not in _OPTIONAL))
    absent = [name for name in needed if not (folder / name).is_file()]
    if absent or not path.exists():
        what = f"{path} does not exist" if not path.exists() else f"{folder} contains no {' and no '.join(absent)}"
        raise SvebError(f"{what}: give the folder that `sveb suite split` wrote with --secret")
    return folder


def commitment(folder: Path) -> str:
    """sha256 over the salt and the digests of the private tables, as described at the top of this module; hex."""
    lines = [(folder / "salt").read_bytes()]
    lines += [f"{sha256(folder / f'{name}.parquet')}  {name}.parquet\n".encode() for name in present(folder)]
    return hashlib.sha256(b"".join(lines)).hexdigest()


def present(folder: Path) -> list[str]:
    """Those of TABLES that a private part holds, in order."""
    return [name for name in TABLES if name not in _OPTIONAL or (folder / f"{name}.parquet").is_file()]


def write_salt(folder: Path) -> None:
    """A fresh salt; written before the commitment is computed."""
    write_text(folder / "salt", secrets.token_hex(32))


def write_identity(folder: Path, public: Manifest, truth_seed: int | None) -> None:
    """private.json. `truth_seed`: the seed of the truth, if it differs from the public suite's seed."""
    identity: dict[str, Any] = {
        "schema_version": PRIVATE.version,
        "suite": {"name": public.name, "version": public.version, "checksum": public.checksum},
        "problems": len(public.private_problems),
        "truth_seed": truth_seed,
    }
    write_text(folder / "private.json", dump_json(identity))


def longest_states(states: pa.Table) -> dict[str, int]:
    """Tokens of the longest path state that was cut from each rollout, by rollout_id."""
    longest: dict[str, int] = {}
    rows = states.select(["rollout_id", "kind", "n_tokens"]).to_pylist()
    for row in (row for row in rows if row["kind"] == "path"):
        longest[row["rollout_id"]] = max(longest.get(row["rollout_id"], 0), row["n_tokens"])
    return longest
