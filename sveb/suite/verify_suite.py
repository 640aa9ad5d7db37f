"""Checks that a suite is what its manifest says: computes every checksum, reference and statistic again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sveb.common.errors import SvebError
from sveb.common.faults import Fault
from sveb.common.files import sha256
from sveb.common.text import first_few
from sveb.suite.private_truth import Private, longest_states
from sveb.suite.suite import Suite
from sveb.suite.tables import ADDED, SCHEMAS, ragged
from sveb.suite.truth_statistics import suite_statistics, summary_statistics, value_statistics

_SHOWN = 3


def verify(suite: Suite, private: Private | None = None) -> list[Fault]:
    """All faults at once; an empty list means that the suite is complete and correct.

    A split suite must not contain what its manifest names as private. With `private`, which matches its commitment, the
    private part is checked against the public one.
    """
    faults = _papers(suite)
    tables: dict[str, pa.Table] = {}
    for name in SCHEMAS:
        file = f"{name}.parquet"
        faults += _checksum(suite, file) if name in suite.tables else []
        try:
            table = suite.table(name)
        except SvebError as error:
            faults.append(Fault(file, "whole file", str(error), "restore it, or generate the suite again"))
            continue
        if table.schema.remove_metadata() != SCHEMAS[name]:
            found = ", ".join(f"{field.name} {field.type}" for field in table.schema)
            faults.append(Fault(file, "columns", f"expected those of docs/suite-format.md, found {found}", _AGAIN))
            continue
        tables[name] = table
    if len(tables) == len(SCHEMAS):
        apart = _apart(tables["states"], suite.manifest.private_problems)
        faults += (
            _references(tables, apart) + _values(tables["truth"]) + _prefixes(tables, suite.protocol.prefix_column)
        )
        faults += _next_steps(tables["states"], tables["rollouts"])
        if "audit" in suite.tables:
            faults += _audit(tables["audit"], set(tables["truth"]["state_id"].to_pylist()), suite.manifest.counts)
        faults += _statistics(suite, tables) + _withheld(suite, tables, apart)
        if private is not None:
            faults += _revealed(private, tables, apart, suite.manifest.counts)
    return faults


_AGAIN = "restore the file from where the suite came from, or generate the suite again"
_few = partial(first_few, most=_SHOWN)
_SPLIT = "do not publish it: split the whole suite again (`sveb suite split`)"


def _checksum(suite: Suite, file: str) -> list[Fault]:
    path, named = suite.path / file, suite.manifest.files.get(file)
    if named is None:
        return [Fault("manifest.json", f"files/{file}", "no checksum is named", _AGAIN)]
    if path.is_file() and (found := sha256(path)) != named["sha256"]:
        return [Fault(file, "sha256", f"expected {named['sha256'][:16]}..., found {found[:16]}...", _AGAIN)]
    return []


def _papers(suite: Suite) -> list[Fault]:
    """Faults of the files that SHA256SUMS names next to the tables: card and metadata."""
    sums = suite.path / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines() if sums.is_file() else []
    faults: list[Fault] = []
    for digest, _, file in (line.partition("  ") for line in lines):
        path = suite.path / Path(file).name
        if file not in suite.manifest.files and (not path.is_file() or sha256(path) != digest):
            faults.append(Fault(file, "sha256", "its checksum is not the one in SHA256SUMS", _AGAIN))
    return faults


def _apart(states: pa.Table, problems: frozenset[str]) -> set[str]:
    """The states of the private problems."""
    pairs = zip(states["state_id"].to_pylist(), states["problem_id"].to_pylist(), strict=True)
    return {state_id for state_id, problem_id in pairs if problem_id in problems}


def _withheld(suite: Suite, tables: dict[str, pa.Table], apart: set[str]) -> list[Fault]:
    """What a split suite contains although it should be only in the private part."""
    problems, faults = suite.manifest.private_problems, []
    unknown = sorted(problems - set(tables["states"]["problem_id"].to_pylist()))
    if unknown:
        faults.append(Fault("manifest.json", "private", f"no states of these problems: {_few(unknown)}", _AGAIN))
    public = sorted(apart & set(tables["truth"]["state_id"].to_pylist()))
    if public:
        faults.append(Fault("truth.parquet", "state_id", f"truth of private problems: {_few(public)}", _SPLIT))
    states = tables["states"]
    told = states.filter(pc.or_(*(pc.is_valid(states[name]) for name in ADDED["states"])))
    told_of = sorted(apart & set(told["state_id"].to_pylist()))
    if told_of:
        wrong = f"what follows states of private problems: {_few(told_of)}"
        faults.append(Fault("states.parquet", "next_tokens, next_weight", wrong, _SPLIT))
    lengths = longest_states(states)
    for row in _private_probes(tables["rollouts"], problems):
        name, tokens = row["rollout_id"], row["token_ids"]
        if len(tokens) > lengths.get(name, 0) or any(row[key] is not None for key in ("return_", "finish_reason")):
            faults.append(Fault("rollouts.parquet", name, "a private problem's probe shows how it continues", _SPLIT))
    return faults


def _revealed(private: Private, tables: dict[str, pa.Table], apart: set[str], counts: dict[str, int]) -> list[Fault]:
    """Checks the private tables against the public ones that they complete."""
    truth, place = private.table("truth"), str(private.folder / "truth.parquet")
    faults = _values(truth, place)
    named = truth["state_id"].to_pylist()
    if len(named) != len(set(named)) or set(named) != apart:
        faults.append(Fault(place, "state_id", "expected each state of the private problems exactly once", _AGAIN))
    faults += _next_steps(private.table("states"), private.table("rollouts"), str(private.folder / "states.parquet"))
    if "audit" in private.tables:
        faults += _audit(private.table("audit"), apart, counts, str(private.folder / "audit.parquet"))
    public = {row["rollout_id"]: row["token_ids"] for row in tables["rollouts"].to_pylist() if row["role"] == "probe"}
    for row in private.table("rollouts", ["rollout_id", "token_ids"]).to_pylist():
        begun = public.get(row["rollout_id"])
        if begun is None or row["token_ids"][: len(begun)] != begun:
            wrong = f"{row['rollout_id']} does not begin like the same rollout in the public suite"
            faults.append(Fault(str(private.folder / "rollouts.parquet"), "token_ids", wrong, _AGAIN))
    return faults


def _private_probes(rollouts: pa.Table, problems: frozenset[str]) -> list[dict[str, Any]]:
    columns = ["rollout_id", "problem_id", "role", "token_ids", "return_", "finish_reason"]
    rows = rollouts.select(columns).to_pylist() if problems else []
    return [row for row in rows if row["role"] == "probe" and row["problem_id"] in problems]


def _references(tables: dict[str, pa.Table], apart: set[str]) -> list[Fault]:
    faults: list[Fault] = []
    ids = {name: tables[f"{name}s"][f"{name}_id"].to_pylist() for name in ("problem", "rollout", "state")}
    for name, found in ids.items():
        twice = sorted({i for i in found if found.count(i) > 1}) if len(set(found)) < len(found) else []
        if twice:
            faults.append(Fault(f"{name}s.parquet", f"{name}_id", f"not unique: {_few(twice)}", _AGAIN))
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
            faults.append(Fault(f"{table}.parquet", column, f"no such {target}: {_few(unknown)}", _AGAIN))
    absent = sorted(set(ids["state"]) - set(tables["truth"]["state_id"].to_pylist()) - apart)
    if absent:
        faults.append(Fault("truth.parquet", "state_id", f"states without truth: {_few(absent)}", _AGAIN))
    return faults


def _values(truth: pa.Table, file: str = "truth.parquet") -> list[Fault]:
    """Checks value_mean, value_se and the counts against the returns that they summarise."""
    values, offsets = ragged(truth["return_"])
    columns = {
        name: truth[name].to_numpy().astype(float)
        for name in ("value_mean", "value_se", "n_continuations", "n_missing")
    }
    summarised = truth["return_"].is_null().to_numpy() & truth["value_mean"].is_valid().to_numpy()
    wrong: dict[str, list[str]] = {}
    for row, (state_id, start, stop) in enumerate(
        zip(truth["state_id"].to_pylist(), offsets[:-1], offsets[1:], strict=True)
    ):
        if summarised[row]:  # imported: only mean and count are known
            expectations = summary_statistics(columns["value_mean"][row], int(columns["n_continuations"][row]))
        else:
            expectations = value_statistics(values[start:stop].astype(float))
        for (name, column), expected in zip(columns.items(), expectations, strict=True):
            if not np.isclose(column[row], expected, rtol=0, atol=1e-9, equal_nan=True):
                wrong.setdefault(name, []).append(state_id)
    return [
        Fault(file, name, f"does not follow from the returns in {_few(ids)}", _AGAIN) for name, ids in wrong.items()
    ]


def _next_steps(states: pa.Table, rollouts: pa.Table, file: str = "states.parquet") -> list[Fault]:
    """`next_tokens` and `next_weight`, where they are known, must be those of the step that follows in the rollout."""
    steps = {
        name: [*(ends or []), len(tokens)]
        for name, ends, tokens in zip(
            *(rollouts[column].to_pylist() for column in ("rollout_id", "step_ends", "token_ids")), strict=True
        )
    }
    columns = ["state_id", "rollout_id", "kind", "n_tokens", *ADDED["states"]]
    wrong: dict[str, list[str]] = {}
    for state_id, rollout_id, kind, length, tokens, weight in zip(
        *(states[column].to_pylist() for column in columns), strict=True
    ):
        expected = next((end - length for end in steps.get(rollout_id, ()) if end > length), None)
        if tokens is not None and (kind != "path" or tokens != expected):
            wrong.setdefault("next_tokens", []).append(state_id)
        # A token's weight is a squared distance of two distributions.
        if weight is not None and not (tokens is not None and 0 <= weight <= 2 * tokens):
            wrong.setdefault("next_weight", []).append(state_id)
    return [
        Fault(file, name, f"not those of the step that follows: {_few(ids)}", _AGAIN) for name, ids in wrong.items()
    ]


def _audit(audit: pa.Table, states: set[str], counts: dict[str, int], file: str = "audit.parquet") -> list[Fault]:
    """The audit pool must have the same number of returns for every state with a truth."""
    faults, named = [], audit["state_id"].to_pylist()
    if len(named) != len(set(named)) or set(named) != states:
        faults.append(Fault(file, "state_id", "expected each state that has a truth exactly once", _AGAIN))
    lengths = pc.list_value_length(audit["return_"])
    other = audit.filter(pc.not_equal(lengths, counts.get("audit", 0)))["state_id"].to_pylist()
    if other:
        wrong = f"expected {counts.get('audit', 0)} returns of every state, found other numbers in {_few(other)}"
        faults.append(Fault(file, "return_", wrong, _AGAIN))
    return faults


def _prefixes(tables: dict[str, pa.Table], column: str) -> list[Fault]:
    """A path state must be a prefix (of tokens or text) of its rollout. A sibling must begin with its parent."""
    rollouts = dict(zip(*(tables["rollouts"][c].to_pylist() for c in ("rollout_id", column)), strict=True))
    states = tables["states"].select(["state_id", "rollout_id", "kind", column, "parent_state_id"]).to_pylist()
    by_id = {row["state_id"]: row[column] for row in states}
    wrong = []
    for row in states:
        if row["kind"] == "path":
            whole, part = rollouts.get(row["rollout_id"], row[column][:0]), row[column]
        else:
            whole, part = row[column], by_id.get(row["parent_state_id"], row[column][:0])
        if whole[: len(part)] != part:
            wrong.append(row["state_id"])
    if not wrong:
        return []
    return [Fault("states.parquet", column, f"do not match what they were cut from: {_few(wrong)}", _AGAIN)]


def _statistics(suite: Suite, tables: dict[str, pa.Table]) -> list[Fault]:
    found = suite_statistics(tables["problems"], tables["rollouts"], tables["states"], tables["truth"])
    stated = suite.manifest.statistics
    return [
        Fault("manifest.json", f"statistics/{key}", f"states {stated.get(key)!r}, recomputed {value!r}", _AGAIN)
        for key, value in found.items()
        if stated.get(key) != value
    ]
