"""The one writer of imported suites: all tables and the manifest, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors
from sveb.generate.plan import Counts
from sveb.policies.models import ModelEntry, Weights
from sveb.suite.assemble import assemble
from sveb.suite.manifest import Manifest
from sveb.suite.tables import SCHEMAS, write_rows

LICENCE = "none stated"


def empty_folder(out: Path) -> Path:
    """`out`. Raises SvebError if it holds anything, before work is spent on what could not be written there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SvebError(f"{out} is not empty: choose another folder with --out")
    return out


def write_suite(out: Path, manifest: Manifest, tables: Mapping[str, Iterable[dict[str, Any]]]) -> None:
    """Writes a suite of these rows by table; a table that is not named is empty. An error leaves no folder behind."""
    empty_folder(out)
    out = out.resolve()
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with disk_errors(out):
        try:
            unfinished.mkdir(parents=True)
            for name in SCHEMAS:
                if name in tables or name != "audit":  # a suite without an audit pool has no such file
                    write_rows(unfinished, name, tables.get(name, ()))
            assemble(unfinished, manifest, manifest.task["licence"])
            if out.exists():
                out.rmdir()
            unfinished.rename(out)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def imported_policy(entry: ModelEntry, weights: Weights) -> dict[str, Any]:
    """What a manifest says about the policy of data that SVEB did not sample."""
    return {
        "name": entry.name, "source": weights.source, "revision": weights.revision, "sha256": weights.sha256,
        "dtype": "as published", "engine": "imported", "engine_version": "n/a",
    }  # fmt: skip


def counts(**given: int) -> dict[str, int]:
    """The manifest's counts; those that are not given are 0."""
    return {each.name: 0 for each in fields(Counts)} | given
