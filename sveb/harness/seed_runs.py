"""A run with several training seeds: one run for each, in a process of its own, and one file with all of their values.

The values of a finished seed lie in the folder `kept` until all are there, so that a killed run goes on with the next.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.common.version import __version__
from sveb.harness.run_estimator import Progress, resolve, run
from sveb.runs.predictions import BUDGET_ITEMS, Cost, Predictions
from sveb.runs.run_folder import PREDICTIONS
from sveb.suite.suite import Suite


def run_seeds(
    suite: Suite,
    spec: str,
    params: Mapping[str, Any],
    out: Path,
    *,
    seed: int = 0,
    seeds: int = 1,
    kept: Path | None = None,
    allow_missing: bool = False,
    progress: Callable[[int], Progress] | None = None,
    sandbox: bool | None = None,
    scratch: Path | None = None,
    secrets: Sequence[Path] = (),
) -> Path:
    """`run_estimator.run` with `seed`, `seed` + 1, ...: writes `out`/predictions.parquet and returns its path.

    Each seed writes to its own scratch folder (`scratch_of`) and has its own `progress(seed)`. `kept` is a folder for
    the values of finished seeds, by default one in `out`. Those of the same suite, parameters and code, however many
    seeds were asked for then, are not computed again. It is deleted once all are there.
    """
    if seeds < 1:
        raise SvebError(f"{seeds} seeds: expected 1 or more")
    kept = kept or out / "seeds"

    def run_one(number: int, folder: Path) -> Path:
        return run(
            suite, spec, dict(params), folder, seed=number, allow_missing=allow_missing,
            progress=progress and progress(number), sandbox=sandbox, secrets=secrets,
            scratch=scratch and scratch_of(scratch, number - seed),
        )  # fmt: skip

    if seeds == 1:
        return run_one(seed, out)
    found = []
    for number in range(seed, seed + seeds):
        folder = kept / _identity(suite, spec, params, number, allow_missing, sandbox)
        if (folder / PREDICTIONS).is_file():
            found.append(Predictions.read(folder / PREDICTIONS))
            if progress is not None:
                progress(number)(len(found[-1].state_ids), len(found[-1].state_ids))
        else:
            found.append(Predictions.read(run_one(number, folder)))
    together(found).write(out / PREDICTIONS)
    shutil.rmtree(kept)
    return out / PREDICTIONS


def scratch_of(scratch: Path, place: int) -> Path:
    """The scratch folder of the first seed is `scratch`; those of the others lie beside it, as `scratch`-1, ..."""
    return scratch.with_name(f"{scratch.name}-{place}") if place else scratch


def labelled(progress: Callable[[str], Progress], label: str, seeds: int) -> Callable[[int], Progress]:
    """The progress of each seed, called `label`; of several seeds the number is added."""
    return lambda seed: progress(label if seeds == 1 else f"{label}, seed {seed}")


def together(found: Sequence[Predictions]) -> Predictions:
    """The values of runs that differ in their seed alone, with one account: what was asked for, and the mean cost."""
    first = found[0].info
    for each in found[1:]:
        if replace(each.info.estimator, seed=first.estimator.seed) != first.estimator:
            raise SvebError(f"{first.estimator.spec} changed between its seeds: run it again")
    asked = {item for each in found for item in each.info.budget}
    means = np.mean([astuple(each.info.cost) for each in found], axis=0).tolist()
    cost = replace(Cost(*means), peak_rss_bytes=max(each.info.cost.peak_rss_bytes for each in found))
    info = replace(first, budget=[item for item in BUDGET_ITEMS if item in asked], cost=cost)
    return Predictions(info, found[0].state_ids, found[0].values, [each.values for each in found[1:]])


def _identity(suite: Suite, spec: str, params: Mapping[str, Any], *rest: object) -> str:
    """A name for all that the values of a seed depend on."""
    file = resolve(spec).file
    code = None if file is None else sha256(file)
    held = [suite.checksum, spec, code, __version__, sorted(params.items()), *rest]
    return hashlib.sha256(json.dumps(held, default=str).encode()).hexdigest()[:32]
