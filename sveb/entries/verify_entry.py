"""`sveb verify`: a maintainer checks an entry by running its code and scoring its predictions.

self-reported   nobody has run it, or the outcome was not what the entry says
reproduced      its code gave its predictions, and scoring them gave its results
hidden truth    reproduced, and scored on a truth that was never public
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.version import __version__
from sveb.entries.entry import Entry
from sveb.entries.reproduce import rerun, suites_of
from sveb.entries.verification_records import HIDDEN_TRUTH, REPRODUCED, SELF_REPORTED, Record, digests
from sveb.harness.run_estimator import Progress
from sveb.runs.results import Results
from sveb.score.score import score
from sveb.suite.private_truth import Private, locate
from sveb.suite.suite import Suite

# The last bits of a sum may differ between two machines. A larger difference means that the scores differ.
SCORES_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Verified:
    """The record of one suite, and what was compared, in words."""

    key: str
    record: Record
    lines: list[str]


def verify(
    entry: Entry,
    *,
    tolerance: float = 0.0,
    suite: str | None = None,
    unconfined: bool = False,
    truth: Path | None = None,
    progress: Callable[[str], Progress] | None = None,
) -> list[Verified]:
    """Runs the entry again on each of its suites and compares.

    `tolerance` is the largest difference between two values of a state that still counts as equal: 0 for an estimator
    that takes all its randomness from its seed. Code runs in the sandbox unless `unconfined`. `truth` is the private
    part of a split suite. It is opened only after the code has ended, and other suites are then left out.
    """
    if truth is not None and unconfined and entry.code is not None:
        raise SvebError("--truth needs the sandbox for an entry's code: leave --unconfined out")
    return [
        _verify(entry, key, opened, tolerance, unconfined, truth, progress)
        for key, opened in suites_of(entry, suite).items()
        if truth is None or opened.manifest.private
    ]


def _verify(
    entry: Entry,
    key: str,
    suite: Suite,
    tolerance: float,
    unconfined: bool,
    truth: Path | None,
    progress: Callable[[str], Progress] | None,
) -> Verified:
    reasons, lines, largest = [], [], None
    secrets = [] if truth is None else sorted(locate(truth, suite).resolve().iterdir())
    stored = entry.results[key]
    missing = stored.counts.get("missing_predictions", 0) > 0
    path = entry.folder / "predictions" / f"{key}.parquet"
    again = score(suite, path, allow_missing=missing)
    if apart := differing(again, stored):
        reasons.append(f"scoring its predictions gives another {', '.join(apart[:3])}")
    lines.append(f"scoring its predictions again gives {'other' if apart else 'the same'} results")
    try:
        with tempfile.TemporaryDirectory(prefix="sveb-") as work:
            made = rerun(entry, key, suite, Path(work), unconfined=unconfined, progress=progress, secrets=secrets)
    except SvebError as error:
        reasons.append(f"it did not run: {str(error).splitlines()[0]}")
    else:
        largest = made.largest_difference
        lines.append(f"running it again: {made.apart} of {made.states} values differ, by at most {largest:.3g}")
        if largest > tolerance:
            reasons.append(f"values differ by up to {largest:.3g}, more than the tolerance {tolerance:g}")
        if made.otherwise:
            reasons.append(f"its account differs in {', '.join(made.otherwise)}")
        cost = (stored.info.cost.wall_s_per_state * 1000, made.info.cost.wall_s_per_state * 1000)
        lines.append(f"milliseconds per state: {cost[0]:.3g} as submitted, {cost[1]:.3g} here")
    private = None if truth is None or reasons else Private.open(truth, suite)
    hidden = None if private is None else _hidden(score(suite, path, allow_missing=missing, private=private))
    if hidden is not None:
        lines.append("on the hidden truth: " + ", ".join(f"{name} {_shown(each)}" for name, each in hidden.items()))
    code, predictions, results = digests(entry.folder, key)
    record = Record(
        tier=SELF_REPORTED if reasons else REPRODUCED if hidden is None else HIDDEN_TRUTH,
        sveb_version=__version__,
        suite_sha256=suite.checksum,
        code_sha256=code,
        predictions_sha256=predictions,
        results_sha256=results,
        tolerance=tolerance,
        largest_difference=largest if largest is None or math.isfinite(largest) else None,
        confined=entry.code is not None and not unconfined,
        truth=None if hidden is None else suite.manifest.private["commitment"],
        hidden=hidden,
        reason="; ".join(reasons) or None,
    )
    return Verified(key, record, lines)


def _hidden(results: Results) -> dict[str, list[float | None]]:
    estimates = results.to_dict()["metrics"]
    return {name: [estimates[name][part] for part in ("value", "low", "high")] for name in ("mse", "skill")}


def _shown(figures: list[float | None]) -> str:
    value, low, high = ("n/a" if figure is None else f"{figure:.4f}" for figure in figures)
    return f"{value} [{low}, {high}]"


def differing(mine: Results, theirs: Results) -> list[str]:
    """Places where two results differ by more than SCORES_TOLERANCE, as `metrics.mse.value`; empty if they agree."""
    return list(_differing(mine.to_dict(), theirs.to_dict(), ""))


def _differing(a: Any, b: Any, place: str) -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [each for key in a for each in _differing(a[key], b[key], f"{place}.{key}" if place else key)]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [each for i, (x, y) in enumerate(zip(a, b, strict=True)) for each in _differing(x, y, f"{place}[{i}]")]
    if isinstance(a, float) and isinstance(b, int | float):
        same = math.isclose(a, b, rel_tol=SCORES_TOLERANCE, abs_tol=SCORES_TOLERANCE)
    else:
        same = a == b
    return [] if same else [place]
