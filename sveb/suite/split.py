"""Splits a suite: a public suite without the truth of some problems, and that truth in a separate folder.

Removed from the public suite: the truth and the audit pool of the private problems' states, and what is known of the
steps that follow them; from their probe rollouts the tokens after the last state, the text, the return, the reason why
they ended and the seed; the seed of the truth if it differs from the suite's seed. Kept: the prefixes, context rollouts
and draws, which estimators may see or buy.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors
from sveb.common.seeds import rng
from sveb.suite.assemble import assemble
from sveb.suite.private_truth import commitment, longest_states, write_identity, write_salt
from sveb.suite.suite import Suite
from sveb.suite.tables import ADDED, SCHEMAS, table_of, write_table


@dataclass(frozen=True)
class Split:
    """The two folders, and how many of the test problems are private. `replayable`: the truth's seed is public."""

    public: Path
    secret: Path
    private: int
    problems: int
    replayable: bool


def split(suite: Suite, share: float, public: Path, secret: Path, seed: int = 0) -> Split:
    """Splits off the truth of about `share` of the test problems, the same share in each tier.

    The choice depends only on `seed` and the problem ids, so a refreshed suite is split in the same way. Raises
    SvebError, before anything is written, if the suite is split already, if a folder is in use or inside the other, or
    if `share` leaves fewer than two problems on either side.
    """
    _check_folders(suite, public, secret)
    tables = {name: suite.table(name) for name in SCHEMAS}
    chosen = choose(tables["problems"], tables["states"], share, seed)
    apart = pc.is_in(tables["states"]["problem_id"], pa.array(sorted(chosen)))
    hidden_states = tables["states"].filter(apart)["state_id"].combine_chunks()
    of_hidden = {name: pc.is_in(tables[name]["state_id"], hidden_states) for name in ("truth", "audit")}
    of_chosen = pc.is_in(tables["rollouts"]["problem_id"], pa.array(sorted(chosen)))
    probes = pc.and_(pc.equal(tables["rollouts"]["role"], "probe"), of_chosen)
    notes, truth_seed = _without_seed(suite.manifest.notes)

    with disk_errors(secret):
        secret.mkdir(parents=True, exist_ok=True, mode=0o700)
    masked = _without_next_steps(tables["states"], apart)
    write_table(secret / "truth.parquet", tables["truth"].filter(of_hidden["truth"]))
    write_table(secret / "rollouts.parquet", tables["rollouts"].filter(probes))
    if masked is not None:
        write_table(secret / "states.parquet", tables["states"].filter(apart))
    if "audit" in suite.tables:
        write_table(secret / "audit.parquet", tables["audit"].filter(of_hidden["audit"]))
    write_salt(secret)

    with disk_errors(public):
        public.mkdir(parents=True, exist_ok=True)
        for name in ("problems", "draws", *(["states"] if masked is None else [])):
            shutil.copyfile(suite.path / f"{name}.parquet", public / f"{name}.parquet")
    tables["rollouts"] = table_of("rollouts", list(_cut(tables["rollouts"], tables["states"], chosen)))
    write_table(public / "rollouts.parquet", tables["rollouts"])
    if masked is not None:
        write_table(public / "states.parquet", masked)
    for name in of_hidden.keys() & suite.tables:
        write_table(public / f"{name}.parquet", tables[name].filter(pc.invert(of_hidden[name])))
    manifest = replace(
        suite.manifest,
        name=public.resolve().name,
        notes=notes,
        private={"problems": sorted(chosen), "commitment": commitment(secret)},
    )
    manifest = assemble(public, manifest, suite.licence)
    write_identity(secret, manifest, truth_seed)
    return Split(public, secret, len(chosen), len(_test_problems(tables["states"])), truth_seed is None)


def choose(problems: pa.Table, states: pa.Table, share: float, seed: int) -> set[str]:
    """The private problems: a seeded choice of `share` in each tier. Rounding keeps the total close to `share`."""
    with_states = _test_problems(states)
    tiers: dict[str, list[str]] = {}
    for name, tier in zip(problems["problem_id"].to_pylist(), problems["tier"].to_pylist(), strict=True):
        if name in with_states:
            tiers.setdefault(tier or "", []).append(name)
    chosen: set[str] = set()
    seen = 0
    for tier, names in sorted(tiers.items()):
        seen += len(names)
        # This tier compensates for the rounding of the tiers before it.
        count = min(len(names), max(0, round(share * seen) - len(chosen)))
        order = rng(seed, "private", tier).permutation(len(names))
        chosen |= {sorted(names)[place] for place in order[:count]}
    if not 2 <= len(chosen) <= len(with_states) - 2:
        raise SvebError(
            f"--private {share:g} of {len(with_states)} problems leaves {len(chosen)} private and "
            f"{len(with_states) - len(chosen)} public: expected at least 2 of each, because intervals need two problems"
        )
    return chosen


def _test_problems(states: pa.Table) -> set[str]:
    return set(states["problem_id"].unique().to_pylist())


def _check_folders(suite: Suite, public: Path, secret: Path) -> None:
    if suite.manifest.private:
        raise SvebError(f"{suite.path} is split already: split the whole suite that it was made from")
    a, b = public.resolve(), secret.resolve()
    if a == b or a.is_relative_to(b) or b.is_relative_to(a):
        raise SvebError(
            f"--out {public} and --secret {secret} are inside each other: the published folder must not contain both"
        )
    for option, folder in (("--out", public), ("--secret", secret)):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SvebError(f"{option} {folder} is not an empty folder: choose another")
    if a.name == suite.name:
        raise SvebError(
            f"--out {public}: a public suite is named after its folder, and {suite.name} is the complete suite: "
            f"choose another, such as {suite.name}-public"
        )


def _without_next_steps(states: pa.Table, apart: pa.ChunkedArray) -> pa.Table | None:
    """The states without what is known of the steps after those in `apart`; None if nothing is known of them."""
    masked = states
    for name in ADDED["states"]:
        column = pc.if_else(apart, pa.scalar(None, states[name].type), states[name])
        masked = masked.set_column(masked.column_names.index(name), name, column)
    return None if masked.equals(states) else masked


def _without_seed(notes: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The notes without the seed of the refreshed truth, and that seed."""
    refresh = dict(notes.get("refresh", {}))
    seed = refresh.pop("seed", None)
    return (notes | {"refresh": refresh} if refresh else notes), seed


def _cut(rollouts: pa.Table, states: pa.Table, chosen: set[str]) -> Iterator[dict[str, Any]]:
    """The rollouts. A private problem's probe ends with its longest state and does not show what came after it."""
    lengths = longest_states(states)
    path = states.filter(pc.equal(states["kind"], "path")).select(["rollout_id", "n_tokens", "text"]).to_pylist()
    texts = {(row["rollout_id"], row["n_tokens"]): row["text"] for row in path}
    for row in rollouts.to_pylist():
        if row["role"] == "probe" and row["problem_id"] in chosen:
            length = lengths.get(row["rollout_id"], 0)
            row |= {
                "token_ids": row["token_ids"][:length],
                "text": texts.get((row["rollout_id"], length), ""),
                "step_ends": [end for end in row["step_ends"] or [] if end <= length],
                "return_": None,
                "finish_reason": None,
                "seed": None,
            }
        yield row
