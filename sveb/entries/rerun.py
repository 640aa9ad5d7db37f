"""Runs what an entry stores (code, parameters, seed) again, and says how far the values are from the entry's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError
from sveb.entries.entry import Entry
from sveb.entries.reproduce_command import without_none
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions, RunInfo
from sveb.runs.suite_of_run import suite_of
from sveb.suite.suite import Suite

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rerun:
    """A run made again. `predictions` holds the new values under the recorded account; `info` is the new account.

    `largest_difference` is that of two values of a state, infinite where one is missing; `apart` counts the states
    whose values are not the same to the last bit. `otherwise` names what else differs of the account, but for what a
    clock or the machine's memory gave.
    """

    predictions: Path
    info: RunInfo
    states: int
    largest_difference: float
    apart: int
    otherwise: list[str]


def rerun(
    entry: Entry,
    key: str,
    suite: Suite,
    out: Path,
    *,
    unconfined: bool = False,
    progress: Progress | None = None,
    secrets: Sequence[Path] = (),
) -> Rerun:
    """Runs the entry's estimator on `suite` and writes `out`/predictions.parquet.

    Code is confined unless `unconfined`; built-ins are sveb's own. `secrets` as in `estimate.run.run`. Raises
    `SvebError` where it does not run, or predicts other states.
    """
    recorded = entry.results[key].info
    spec = entry.metadata.spec
    own = entry.code is not None
    fresh = run(
        suite, str(entry.folder / spec) if own else spec, without_none(recorded.estimator.params), out,
        seed=recorded.estimator.seed, allow_missing=entry.results[key].counts.get("missing_predictions", 0) > 0,
        progress=progress, sandbox=own and not unconfined, secrets=secrets,
    )  # fmt: skip
    mine, theirs = Predictions.read(fresh), Predictions.read(entry.folder / "predictions" / f"{key}.parquet")
    if mine.state_ids != theirs.state_ids:
        raise SvebError(f"{entry.folder.name} predicts other states, or in another order, than the suite {key} holds")
    missing = np.isnan(mine.values) & np.isnan(theirs.values)
    difference = np.where(missing, 0.0, np.abs(mine.values - theirs.values))
    Predictions(recorded, mine.state_ids, mine.values).write(fresh)
    return Rerun(
        fresh,
        mine.info,
        len(difference),
        float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0)),
        int((difference != 0).sum()),
        _otherwise(mine.info, recorded),
    )


def suites_of(entry: Entry, named: str | None = None) -> dict[str, Suite]:
    """The suites that the entry was scored on, to the byte, by key; with `named` that one alone.

    Raises `SvebError` where one is not here.
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
    """Which parts of the account differ, in words."""

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
