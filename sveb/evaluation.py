"""One evaluation, end to end: estimate, then score, into a run folder.

runs/<suite>/<estimator>[-<key>=<value>...]/
  predictions.parquet   values and what they cost
  results.json          scores with intervals
  estimator.py          the code, where it was a file
  scratch/              what its training left, if anything: a critic's weights and loss curve
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sveb import __version__
from sveb.core.errors import SvebError
from sveb.core.files import sha256, write_atomic
from sveb.core.results import Results
from sveb.core.suite import Suite
from sveb.estimate.run import run
from sveb.score.compare import Comparison, compare
from sveb.score.score import score

# Shown beside the user's estimator: the zero of skill, a published remedy, and what rollouts would buy.
BASELINES: tuple[tuple[str, dict[str, str]], ...] = (
    ("constant", {}),
    ("group_mean", {}),
    ("numca", {}),
    ("mc", {"k": "1"}),
    ("mc", {"k": "4"}),
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Run:
    """A finished evaluation: `name` is the run's folder name, unique among estimators and parameters."""

    name: str
    folder: Path
    results: Results

    @property
    def predictions(self) -> Path:
        """The predictions file that the results were computed from."""
        return self.folder / "predictions.parquet"


def run_name(spec: str, params: Mapping[str, str]) -> str:
    """`numca`, `mc-k=4`, or the file's (and class's) name; safe as a folder's name."""
    path, _, class_name = spec.partition(".py")
    stem = Path(path).name + (f".{class_name.removeprefix(':')}" if class_name else "")
    return re.sub(r"[^A-Za-z0-9._=-]", "_", "-".join([stem, *(f"{k}={v}" for k, v in sorted(params.items()))]))


def evaluate(
    suite: Suite,
    spec: str,
    params: Mapping[str, str],
    runs: Path,
    *,
    seed: int = 0,
    allow_missing: bool = False,
    progress: Progress | None = None,
    sandbox: bool | None = None,
) -> Run:
    """Runs an estimator on a suite and scores it. A failed run leaves an earlier one's files as they were.

    What it left in its scratch folder is found by the next run of that name, so that a killed training goes on.

    `sandbox` is `estimate.run.run`'s: None confines what lies under a folder named submissions.
    """
    name = run_name(spec, params)
    folder = runs / suite.name / name
    fresh = folder.with_name(f".{name}.new")
    scratch = folder.with_name(f".{name}.scratch")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        predictions = run(
            suite, spec, dict(params), fresh, seed=seed, allow_missing=allow_missing,
            progress=progress, sandbox=sandbox, scratch=scratch,
        )  # fmt: skip
        results = score(suite, predictions, allow_missing=allow_missing)
        results.write(fresh / "results.json")
        if results.info.estimator.code_sha256 is not None:
            source = Path(spec.partition(".py")[0] + ".py")
            write_atomic(fresh / "estimator.py", lambda temporary: shutil.copyfile(source, temporary))
        if scratch.is_dir() and any(scratch.iterdir()):
            scratch.rename(fresh / "scratch")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        with contextlib.suppress(OSError):
            scratch.rmdir()  # what holds something stays
    return Run(name, folder, results)


def read_run(folder: Path) -> Run:
    """A run folder that `evaluate` has left."""
    return Run(folder.name, folder, Results.read(folder / "results.json"))


def baselines(suite: Suite, runs: Path, progress: Callable[[str], Progress]) -> list[Run]:
    """The baselines on this suite: earlier runs of this version where they are, else computed now."""
    found = []
    for spec, params in BASELINES:
        if int(params.get("k", 0)) > suite.manifest.counts["draws"]:
            continue  # a suite that sells fewer draws has no such baseline
        if spec == "constant" and not suite.manifest.counts["train_problems"]:
            continue  # it is the mean return of training problems
        name = run_name(spec, params)
        run = _earlier(suite, runs / suite.name / name)
        found.append(run or evaluate(suite, spec, params, runs, progress=progress(name)))
    return found


def _earlier(suite: Suite, folder: Path) -> Run | None:
    """The run in `folder` if it is whole, of this very suite and of this sveb; else None."""
    try:
        run = read_run(folder)
        info, whole = run.results.info, sha256(run.predictions) == run.results.predictions_sha256
    except (SvebError, OSError):
        return None
    return run if whole and info.suite.checksum == suite.checksum and info.sveb_version == __version__ else None


def verdict(suite: Suite, mine: Run, others: list[Run]) -> Comparison | None:
    """`mine` against the group mean, paired: does it know more than GRPO's baseline?"""
    reference = next((run for run in others if run.name == "group_mean"), None)
    if reference is None or reference.name == mine.name:
        return None
    return replace(compare(suite, mine.predictions, reference.predictions), a=mine.name, b=reference.name)
