"""One evaluation, end to end: estimate, then score, into a run folder.

runs/<suite>/<estimator>[-<key>=<value>...]/
  predictions.parquet   values and what they cost
  results.json          scores with intervals; with a split suite's private part those on the private problems
  results-all.json      then, too: those on all problems
  estimator.py          the code, where it was a file
  scratch/              what its training left, if anything: a critic's weights and loss curve
  scratch-1/, ...       those of further seeds
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import write_atomic
from sveb.common.version import __version__
from sveb.harness.run_estimator import Progress, resolve
from sveb.harness.seed_runs import labelled, run_seeds, scratch_of
from sveb.runs.figures import Comparison
from sveb.runs.results import Results, TruthPart
from sveb.runs.run_folder import RunFolder, read_run
from sveb.score.compare import compare
from sveb.score.score import score
from sveb.suite.private_truth import Private, locate
from sveb.suite.suite import Suite

# Shown next to the user's estimator: the zero of skill, a published remedy, and what rollouts would buy.
BASELINES: tuple[tuple[str, dict[str, str]], ...] = (
    ("constant", {}),
    ("group_mean", {}),
    ("numca", {}),
    ("mc", {"k": "1"}),
    ("mc", {"k": "4"}),
)


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
    seeds: int = 1,
    allow_missing: bool = False,
    progress: Callable[[int], Progress] | None = None,
    sandbox: bool | None = None,
    truth: Path | None = None,
) -> RunFolder:
    """Runs an estimator on a suite and scores it. A failed run leaves an earlier one's files as they were.

    What it left in its scratch folder is found by the next run of that name, so that a killed training goes on. With
    several `seeds`, the finished ones are found too. `progress(seed)` gives what is told of the progress of that seed.

    `sandbox` is `run_estimator.run`'s: None confines what lies under a folder named submissions. `truth` is the private
    part of a split suite: it is opened when the estimator's process has ended, and a file's code is then confined
    wherever it lies.
    """
    secrets: Sequence[Path] = ()
    if truth is not None:
        secrets = sorted(locate(truth, suite).resolve().iterdir())
        if resolve(spec).builtin is None:
            if sandbox is False:
                raise SvebError("--truth runs a file's code in the sandbox alone: leave --no-sandbox out")
            sandbox = True
    name = run_name(spec, params)
    folder = runs / suite.name / name
    fresh = folder.with_name(f".{name}.new")
    scratch = folder.with_name(f".{name}.scratch")
    scratches = [scratch_of(scratch, place) for place in range(seeds)]
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        predictions = run_seeds(
            suite, spec, params, fresh, seed=seed, seeds=seeds, kept=folder.with_name(f".{name}.seeds"),
            allow_missing=allow_missing, progress=progress, sandbox=sandbox, scratch=scratch, secrets=secrets,
        )  # fmt: skip
        results = write_scores(suite, predictions, fresh / "results.json", allow_missing=allow_missing, truth=truth)
        if results.info.estimator.code_sha256 is not None:
            source = Path(spec.partition(".py")[0] + ".py")
            write_atomic(fresh / "estimator.py", lambda temporary: shutil.copyfile(source, temporary))
        for place, each in enumerate(scratches):
            if each.is_dir() and any(each.iterdir()):
                each.rename(scratch_of(fresh / "scratch", place))
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        for each in folder.parent.glob(f".{name}.scratch-*"):  # of a stopped run with more seeds
            shutil.rmtree(each)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        for each in scratches:
            with contextlib.suppress(OSError):
                each.rmdir()  # what holds something stays
    return RunFolder(name, folder, results)


def write_scores(
    suite: Suite, predictions: Path, target: Path, *, allow_missing: bool = False, truth: Path | None = None
) -> Results:
    """Scores predictions into `target`; with a private part also into <target>-all.json, on all problems."""
    private = None if truth is None else Private.open(truth, suite)
    results = score(suite, predictions, allow_missing=allow_missing, private=private)
    results.write(target)
    everything = target.with_name(f"{target.stem}-all{target.suffix}")
    if private is not None:
        score(suite, predictions, allow_missing=allow_missing, private=private, everything=True).write(everything)
    return results


def baselines(
    suite: Suite, runs: Path, progress: Callable[[str], Progress], truth: Path | None = None
) -> list[RunFolder]:
    """The baselines on this suite: earlier runs of this version where they are, else computed now."""
    found = []
    part: TruthPart = "whole" if not suite.manifest.private else "public" if truth is None else "hidden"
    for spec, params in BASELINES:
        if int(params.get("k", 0)) > suite.manifest.counts["draws"]:
            continue  # a suite that sells fewer draws has no such baseline
        if spec == "constant" and not suite.manifest.counts["train_problems"]:
            continue  # it is the mean return of training problems
        name = run_name(spec, params)
        run = _earlier(suite, runs / suite.name / name, part)
        found.append(run or evaluate(suite, spec, params, runs, progress=labelled(progress, name, 1), truth=truth))
    return found


def _earlier(suite: Suite, folder: Path, part: TruthPart) -> RunFolder | None:
    """The run in `folder` if it is whole, of this very suite and of this sveb, and scored on this part; else None."""
    try:
        run = read_run(folder)
    except (SvebError, OSError):
        return None
    info = run.results.info
    same = info.suite.checksum == suite.checksum and info.sveb_version == __version__ and run.results.truth == part
    return run if same else None


def verdict(suite: Suite, mine: RunFolder, others: list[RunFolder], truth: Path | None = None) -> Comparison | None:
    """`mine` against the group mean, paired: does it know more than GRPO's baseline?"""
    reference = next((run for run in others if run.name == "group_mean"), None)
    if reference is None or reference.name == mine.name:
        return None
    private = None if truth is None else Private.open(truth, suite)
    return replace(
        compare(suite, mine.predictions, reference.predictions, private=private), a=mine.name, b=reference.name
    )
