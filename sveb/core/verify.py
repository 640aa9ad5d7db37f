"""Is a suite what its manifest says? Every checksum, reference and statistic, recomputed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sveb.core.errors import SvebError
from sveb.core.files import sha256
from sveb.core.statistics import suite_statistics, value_statistics
from sveb.core.suite import Suite
from sveb.core.tables import SCHEMAS, ragged

_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: in which file, at which place, and how to mend it."""

    file: str
    place: str
    problem: str
    mend: str


def verify(suite: Suite) -> list[Finding]:
    """All findings at once; an empty list means that the suite is whole."""
    findings: list[Finding] = []
    tables: dict[str, pa.Table] = {}
    for name in SCHEMAS:
        file = f"{name}.parquet"
        findings += _checksum(suite, file)
        try:
            table = suite.table(name)
        except SvebError as error:
            findings.append(Finding(file, "whole file", str(error), "restore it, or generate the suite again"))
            continue
        if table.schema.remove_metadata() != SCHEMAS[name]:
            found = ", ".join(f"{field.name} {field.type}" for field in table.schema)
            findings.append(Finding(file, "columns", f"expected those of docs/suite-format.md, found {found}", _AGAIN))
            continue
        tables[name] = table
    if len(tables) == len(SCHEMAS):
        findings += _references(tables) + _values(tables["truth"]) + _prefixes(tables) + _statistics(suite, tables)
    return findings


_AGAIN = "restore the file from where the suite came from, or generate the suite again"


def _checksum(suite: Suite, file: str) -> list[Finding]:
    path, named = suite.path / file, suite.manifest.files.get(file)
    if named is None:
        return [Finding("manifest.json", f"files/{file}", "no checksum is named", _AGAIN)]
    if path.is_file() and (found := sha256(path)) != named["sha256"]:
        return [Finding(file, "sha256", f"expected {named['sha256'][:16]}..., found {found[:16]}...", _AGAIN)]
    return []


def _listed(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")


def _references(tables: dict[str, pa.Table]) -> list[Finding]:
    findings: list[Finding] = []
    ids = {name: tables[f"{name}s"][f"{name}_id"].to_pylist() for name in ("problem", "rollout", "state")}
    for name, found in ids.items():
        twice = sorted({i for i in found if found.count(i) > 1}) if len(set(found)) < len(found) else []
        if twice:
            findings.append(Finding(f"{name}s.parquet", f"{name}_id", f"not unique: {_listed(twice)}", _AGAIN))
    for table, column, target in (
        ("rollouts", "problem_id", "problem"),
        ("states", "problem_id", "problem"),
        ("states", "rollout_id", "rollout"),
        ("states", "parent_state_id", "state"),
        ("draws", "state_id", "state"),
        ("truth", "state_id", "state"),
    ):
        unknown = sorted({i for i in tables[table][column].unique().to_pylist() if i is not None} - set(ids[target]))
        if unknown:
            findings.append(Finding(f"{table}.parquet", column, f"no such {target}: {_listed(unknown)}", _AGAIN))
    absent = sorted(set(ids["state"]) - set(tables["truth"]["state_id"].to_pylist()))
    if absent:
        findings.append(Finding("truth.parquet", "state_id", f"states without truth: {_listed(absent)}", _AGAIN))
    return findings


def _values(truth: pa.Table) -> list[Finding]:
    """value_mean, value_se and the counts against the returns that they summarise."""
    values, offsets = ragged(truth["return_"])
    columns = {
        name: truth[name].to_numpy().astype(float)
        for name in ("value_mean", "value_se", "n_continuations", "n_missing")
    }
    wrong: dict[str, list[str]] = {}
    for row, (state_id, start, stop) in enumerate(
        zip(truth["state_id"].to_pylist(), offsets[:-1], offsets[1:], strict=True)
    ):
        expectations = value_statistics(values[start:stop].astype(float))
        for (name, column), expected in zip(columns.items(), expectations, strict=True):
            if not np.isclose(column[row], expected, rtol=0, atol=1e-9, equal_nan=True):
                wrong.setdefault(name, []).append(state_id)
    return [
        Finding("truth.parquet", name, f"does not follow from the returns in {_listed(ids)}", _AGAIN)
        for name, ids in wrong.items()
    ]


def _prefixes(tables: dict[str, pa.Table]) -> list[Finding]:
    """A path state's tokens must begin its rollout's; a sibling's must begin with its parent's."""
    rollouts = dict(zip(*(tables["rollouts"][c].to_pylist() for c in ("rollout_id", "token_ids")), strict=True))
    states = tables["states"].select(["state_id", "rollout_id", "kind", "token_ids", "parent_state_id"]).to_pylist()
    by_id = {row["state_id"]: row["token_ids"] for row in states}
    wrong = []
    for row in states:
        if row["kind"] == "path":
            whole, part = rollouts.get(row["rollout_id"], []), row["token_ids"]
        else:
            whole, part = row["token_ids"], by_id.get(row["parent_state_id"], [])
        if whole[: len(part)] != part:
            wrong.append(row["state_id"])
    if not wrong:
        return []
    return [Finding("states.parquet", "token_ids", f"not a prefix of where it was cut: {_listed(wrong)}", _AGAIN)]


def _statistics(suite: Suite, tables: dict[str, pa.Table]) -> list[Finding]:
    found = suite_statistics(tables["problems"], tables["rollouts"], tables["states"], tables["truth"])
    stated = suite.manifest.statistics
    return [
        Finding("manifest.json", f"statistics/{key}", f"states {stated.get(key)!r}, recomputed {value!r}", _AGAIN)
        for key, value in found.items()
        if stated.get(key) != value
    ]
