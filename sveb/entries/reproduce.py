"""Runs an entry again from what it stores: code, parameters and seed. `sveb reproduce` compares every byte.

<out>/<entry's name>/<suite>/
  predictions.parquet   the new values, with the metadata stored in the entry, because measured times always differ
  results.json          the scores of these
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError, unknown_name
from sveb.common.faults import refuse
from sveb.common.files import sha256
from sveb.entries.entry import Entry, entry_folders, errors_of, read_entry
from sveb.entries.reproduce_command import without_none
from sveb.harness.run_estimator import Progress
from sveb.harness.seed_runs import labelled, run_seeds
from sveb.runs.predictions import Predictions, RunInfo
from sveb.runs.suite_of_run import suite_of
from sveb.score.score import score
from sveb.suite.suite import Suite


@dataclass(frozen=True)
class Rerun:
    """A repeated run. `predictions` holds the new values with the recorded metadata; `info` is the new metadata.

    `largest_difference` is the largest one between the two values of a state, infinite if one of them is missing.
    `states` counts the states, once for each seed, `apart` those whose values are not bit-identical. `otherwise` names
    what else differs in the metadata; measured times and memory are not compared.
    """

    predictions: Path
    info: RunInfo
    states: int
    largest_difference: float
    apart: int
    otherwise: list[str]


@dataclass(frozen=True)
class Reproduction:
    """One suite of an entry. `predictions_same`, `results_same`: the files are byte-identical to the entry's files."""

    key: str
    folder: Path
    run: Rerun
    predictions_same: bool
    results_same: bool

    @property
    def same(self) -> bool:
        """Whether nothing differs. Measured times are not compared."""
        return self.predictions_same and self.results_same and not self.run.otherwise


def find_entry(submissions: Path, name: str) -> Entry:
    """The entry with this name or folder. Raises `SvebError` with its faults, or with the names that exist."""
    folders = {folder.name.partition("_")[2]: folder for folder in entry_folders(submissions)}
    given = Path(name)
    folder = given if given.is_dir() else folders.get(name)
    if folder is None:
        raise unknown_name("entry", name, folders)
    entry, faults = read_entry(folder.resolve())
    if entry is None:
        raise refuse(f"the entry {folder}", errors_of(faults))
    return entry


def reproduce(
    entry: Entry,
    out: Path,
    *,
    suite: str | None = None,
    unconfined: bool = False,
    progress: Callable[[str], Progress] | None = None,
) -> list[Reproduction]:
    """Runs the entry again on each of its suites, or only on `suite` (a name or folder), and scores it."""
    found = []
    for key, opened in suites_of(entry, suite).items():
        folder = out / entry.metadata.name / key
        shutil.rmtree(folder, ignore_errors=True)
        missing = entry.results[key].counts.get("missing_predictions", 0) > 0
        made = rerun(entry, key, opened, folder, unconfined=unconfined, progress=progress)
        score(opened, made.predictions, allow_missing=missing).write(folder / "results.json")
        pairs = [
            (made.predictions, entry.folder / "predictions" / f"{key}.parquet"),
            (folder / "results.json", entry.folder / "results" / f"{key}.json"),
        ]
        found.append(Reproduction(key, folder, made, *(sha256(mine) == sha256(theirs) for mine, theirs in pairs)))
    return found


def rerun(
    entry: Entry,
    key: str,
    suite: Suite,
    out: Path,
    *,
    unconfined: bool = False,
    progress: Callable[[str], Progress] | None = None,
    secrets: Sequence[Path] = (),
) -> Rerun:
    """Runs the entry's estimator on `suite` with all of its seeds, and writes `out`/predictions.parquet.

    Code runs in the sandbox unless `unconfined`. Built-ins are part of sveb and need no sandbox. `secrets` as in
    `run_estimator.run`. Raises `SvebError` if the run fails, or if the states predicted are not those of the suite.
    """
    recorded, seeds = entry.results[key].info, entry.results[key].n_seeds
    spec = entry.metadata.spec
    own = entry.code is not None
    fresh = run_seeds(
        suite, str(entry.folder / spec) if own else spec, without_none(recorded.estimator.params), out,
        seed=recorded.estimator.seed, seeds=seeds,
        allow_missing=entry.results[key].counts.get("missing_predictions", 0) > 0,
        progress=progress and labelled(progress, key, seeds), sandbox=own and not unconfined, secrets=secrets,
    )  # fmt: skip
    mine, theirs = Predictions.read(fresh), Predictions.read(entry.folder / "predictions" / f"{key}.parquet")
    if mine.state_ids != theirs.state_ids:
        raise SvebError(f"{entry.folder.name} predicts other states, or in another order, than the suite {key} holds")
    missing = np.isnan(mine.by_seed) & np.isnan(theirs.by_seed)
    difference = np.where(missing, 0.0, np.abs(mine.by_seed - theirs.by_seed))
    replace(mine, info=recorded).write(fresh)
    return Rerun(
        fresh,
        mine.info,
        difference.size,
        float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0)),
        int((difference != 0).sum()),
        _otherwise(mine.info, recorded),
    )


def suites_of(entry: Entry, named: str | None = None) -> dict[str, Suite]:
    """The suites that the entry was scored on, byte-identical, by key; with `named` only that one.

    Raises `SvebError` if one is not on this machine.
    """
    if named is not None:
        suite = Suite.open(named)
        checksums = {key: results.info.suite.checksum for key, results in entry.results.items()}
        found = {key: suite for key, checksum in checksums.items() if checksum == suite.checksum}
        if not found:
            known = ", ".join(f"{key} (manifest {checksum[:12]})" for key, checksum in checksums.items())
            raise SvebError(
                f"{entry.metadata.name} has no results on {suite.name} {suite.manifest.version} (manifest "
                f"{suite.checksum[:12]}): it was scored on {known}"
            )
        return found
    found = {}
    for key, results in sorted(entry.results.items()):
        found[key] = suite_of(results.info.suite, f"the entry {entry.metadata.name} was scored on")
    return found


def _otherwise(mine: RunInfo, recorded: RunInfo) -> list[str]:
    """Which parts of the metadata differ, in words."""

    then, now = recorded.estimator, mine.estimator
    params = without_none(now.params)  # a later version may have more of them
    kept = {key: params.get(key) for key in without_none(then.params)}
    pairs = {
        "its parameters": (without_none(then.params), kept),
        "its code": (then.code_sha256, now.code_sha256),
        "the information asked for": (recorded.budget, mine.budget),
        "the tokens sampled": (recorded.cost.tokens_sampled_per_state, mine.cost.tokens_sampled_per_state),
        "the tokens read": (recorded.cost.tokens_read_per_state, mine.cost.tokens_read_per_state),
    }
    return [name for name, (before, after) in pairs.items() if before != after]
