"""The last step of making a suite: when its tables are written, all other files are computed from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sveb.common.files import sha256, write_text
from sveb.suite.croissant import croissant
from sveb.suite.dataset_card import dataset_card
from sveb.suite.manifest import Manifest
from sveb.suite.tables import SCHEMAS, read_table
from sveb.suite.truth_statistics import STATISTICS_COLUMNS, suite_statistics


def assemble(out: Path, manifest: Manifest, licence: str) -> Manifest:
    """Writes dataset card, metadata and checksums next to the tables in `out`, and the manifest last; returns it.

    The manifest's `statistics` and `files` are computed from the tables. `licence` is the SPDX name of the task's data.
    """
    columns = STATISTICS_COLUMNS.items()
    statistics = suite_statistics(*(read_table(out / f"{name}.parquet", wanted) for name, wanted in columns))
    manifest = replace(manifest, statistics=statistics, files=file_entries(out))
    write_text(out / "README.md", dataset_card(manifest, licence))
    write_text(out / "croissant.json", croissant(out, manifest, licence))
    named = ["README.md", "croissant.json", *sorted(manifest.files)]
    write_text(out / "SHA256SUMS", "\n".join(f"{sha256(out / name)}  {name}" for name in named))
    manifest.write(out)
    return manifest


def file_entries(out: Path) -> dict[str, dict[str, Any]]:
    """The manifest's `files`: checksum, size and rows of every table in `out`."""
    return {
        path.name: {
            "sha256": sha256(path),
            "bytes": path.stat().st_size,
            "rows": pq.read_metadata(path).num_rows,
        }
        for path in (out / f"{name}.parquet" for name in SCHEMAS)
        if path.exists() or path.name != "audit.parquet"
    }
