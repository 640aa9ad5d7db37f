"""Makes an entry from a scored run, or adds the run's suite to an existing entry."""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.faults import FaultList, refuse
from sveb.common.files import disk_errors, sha256, write_text
from sveb.entries.entry import errors_of, read_entry
from sveb.entries.metadata import NAME, NAME_RULE, Metadata, read_metadata
from sveb.entries.reproduce_command import entry_spec, readme, without_none
from sveb.entries.results_checks import suite_key
from sveb.runs.predictions import RunInfo
from sveb.runs.results import Results
from sveb.runs.run_folder import read_run


def make_entry(
    run_folder: Path,
    submissions: Path,
    *,
    date: datetime.date,
    name: str | None = None,
    title: str | None = None,
    team: str | None = None,
    authors: Sequence[str] = (),
    method: str | None = None,
    links: Sequence[str] = (),
    licence: str = "Apache-2.0",
    training_data_disclosure: str = "unknown",
    hardware: str = "unknown",
    requirements: Path | None = None,
    include: Sequence[Path] = (),
) -> Path:
    """Copies a scored run (runs/<suite>/<slug>/) into an entry and returns the entry's folder.

    If an entry with this name exists already, the suite is added to it, or the run replaces an earlier run on the same
    suite. The entry's metadata do not change then, except the parameters if this is its only run. `name` and `title`
    default to the run folder's name (`mc-k=4` gives `mc-k-4`), `method` to the estimator's description. `requirements`
    becomes the entry's requirements.txt; `include` are modules and packages that its code imports. Raises `SvebError`
    before anything is written if the result would not be a valid entry.
    """
    results = Results.read(run_folder / "results.json")
    info = results.info
    label = run_folder.resolve().name
    wanted = name or re.sub(r"[^a-z0-9._-]+", "-", label.lower()).strip("-._")[:64]
    if not NAME.fullmatch(wanted):
        raise SvebError(f"{wanted!r} is not a valid name of an entry: {NAME_RULE}")
    old = _folder_of(submissions, wanted)
    work = submissions / f".{wanted}.{os.getpid()}.tmp"
    with disk_errors(submissions):
        try:
            submissions.mkdir(parents=True, exist_ok=True)
            # Built and checked in another folder, then renamed: an entry is never incomplete.
            new = work / (old.name if old else f"{date}_{wanted}")
            if old:
                shutil.copytree(old, new)
            else:
                new.mkdir(parents=True)
                Metadata(
                    name=wanted,
                    title=title or label,
                    team=team or (None if authors else "unknown"),
                    authors=list(authors),
                    method=method or info.estimator.description or "No description was given.",
                    links=list(links),
                    licence=licence,
                    date=date,
                    training_data_disclosure=training_data_disclosure,
                    hardware=hardware,
                    spec=entry_spec(info),
                    suites=[suite_key(results)],
                    params=without_none(info.estimator.params),
                ).write(new / "metadata.toml")
            _copy_run(run_folder, new, results)
            _copy_code(requirements, include, new)
            _follow(new / "metadata.toml", info)
            entry, faults = read_entry(new)
            if entry is None:
                what = f"the run {run_folder} does not make a valid entry {wanted!r}"
                raise refuse(what, errors_of(faults))
            write_text(new / "README.md", readme(entry.folder.name, entry.metadata, entry.results))
            return _put(new, submissions / new.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _folder_of(submissions: Path, name: str) -> Path | None:
    found = [path for path in submissions.glob(f"*_{name}") if path.name.partition("_")[2] == name]
    if len(found) > 1:
        raise SvebError(
            f"several entries are named {name!r}: {', '.join(sorted(p.name for p in found))}; remove all but one"
        )
    return found[0] if found else None


def _put(new: Path, place: Path) -> Path:
    """Moves the finished folder to its place. If this fails, the earlier folder stays there."""
    aside = place.with_name(f".{place.name}.old")
    try:
        if place.exists():
            place.rename(aside)
        new.rename(place)
    except BaseException:
        if aside.exists() and not place.exists():
            aside.rename(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    return place


def _follow(path: Path, info: RunInfo) -> None:
    """Writes every suite that has results into metadata.toml, and the run's estimator if it is the only run.

    A broken metadata.toml is not changed: the check reports it later.
    """
    metadata = read_metadata(path, FaultList(path.name))
    if metadata:
        suites = sorted(each.stem for each in (path.parent / "results").glob("*.json"))
        if len(suites) == 1:
            metadata = replace(metadata, spec=entry_spec(info), params=without_none(info.estimator.params))
        replace(metadata, suites=suites).write(path)


def _copy_code(requirements: Path | None, include: Sequence[Path], entry: Path) -> None:
    if requirements is not None:
        if not requirements.is_file():
            raise SvebError(
                f"no file {requirements}: --requirements names a text file of packages, one name==version per line"
            )
        shutil.copyfile(requirements, entry / "requirements.txt")
    for path in include:
        if path.is_dir() and (path / "__init__.py").is_file():
            only_python = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(path, entry / path.name, ignore=only_python, dirs_exist_ok=True)
        elif path.suffix == ".py" and path.is_file() and path.name != "estimator.py":
            shutil.copyfile(path, entry / path.name)
        else:
            raise SvebError(f"--include {path}: expected a package's folder with __init__.py, or another Python file")


def runs_of(target: str, runs: Path) -> list[Path]:
    """The run folders that `target` names: itself, or all runs of an estimator's file, one per suite.

    Raises `SvebError` if the current version of the file has no run, or several runs on one suite.
    """
    file, dot, class_name = target.partition(".py")
    path = Path(file + dot)
    if not dot or Path(target).is_dir():
        if not Path(target).is_dir():
            raise SvebError(
                f"{target} does not exist: give a run folder that `sveb eval` wrote, or an estimator's file"
            )
        return [Path(target)]
    if not path.is_file():
        raise SvebError(f"{path} does not exist: give an estimator's file, or a run folder that `sveb eval` wrote")
    digest, found = sha256(path), dict[str, list[Path]]()
    for results in sorted(runs.glob("[!.]*/[!.]*/results.json")):
        with suppress(SvebError):
            run = read_run(results)
            same_class = run.results.info.estimator.spec.endswith(f".py{class_name}")
            if run.results.info.estimator.code_sha256 == digest and same_class:
                found.setdefault(suite_key(run.results), []).append(run.folder)
    if not found:
        raise SvebError(f"no run of the current version of {target} in {runs}: run `sveb eval {target}` first")
    for key, folders in found.items():
        if len(folders) > 1:
            listed = ", ".join(map(str, folders))
            raise SvebError(f"{target} has several runs on {key}: give the one to submit: {listed}")
    return [folder for folders in found.values() for folder in folders]


def _copy_run(run_folder: Path, entry: Path, results: Results) -> None:
    key = suite_key(results)
    pairs = [("predictions.parquet", f"predictions/{key}.parquet"), ("results.json", f"results/{key}.json")]
    if results.info.estimator.code_sha256 is not None:
        pairs.append(("estimator.py", "estimator.py"))
    for source, target in pairs:
        if not (run_folder / source).is_file():
            raise SvebError(
                f"{run_folder} contains no {source}: run `sveb eval` again, then submit the folder that it prints"
            )
        (entry / target).parent.mkdir(exist_ok=True)
        shutil.copyfile(run_folder / source, entry / target)
