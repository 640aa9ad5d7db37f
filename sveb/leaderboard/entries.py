"""Entries of the leaderboard, a folder each.

    submissions/<date>_<name>/
      metadata.toml              who, how, licence, disclosure (metadata.py)
      estimator.py               the code of a file estimator; absent for a built-in
      predictions/<suite>.parquet
      results/<suite>.json       made from the predictions beside it: it holds their sha256
      README.md                  how to reproduce

`<suite>` is `name@version`. Several suites may lie side by side in one entry.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sveb.core.errors import SvebError
from sveb.core.faults import Fault, FaultList, refuse
from sveb.core.files import disk_errors, write_text
from sveb.core.results import Results
from sveb.leaderboard.checks import check_code, check_predictions, check_results, suite_key
from sveb.leaderboard.metadata import NAME, NAME_RULE, Metadata, read_metadata
from sveb.leaderboard.reproduce import entry_spec, readme, without_none
from sveb.score.catalogue import CATALOGUE


@dataclass(frozen=True)
class Entry:
    """One checked folder. `results` by suite key, sorted; `code` is the text of estimator.py."""

    folder: Path
    metadata: Metadata
    results: dict[str, Results]
    code: str | None


def read_entries(submissions: Path) -> list[Entry]:
    """All entries, by name. Raises one `SvebError` that lists every fault of every entry."""
    if not submissions.is_dir():
        raise SvebError(f"no folder of entries at {submissions}: give the one that holds <date>_<name>/ folders")
    faults: list[Fault] = []
    entries: list[Entry] = []
    for folder in sorted(path for path in submissions.iterdir() if path.is_dir() and path.name[0] not in "._"):
        entry, found = _read_entry(folder)
        faults += found
        entries += [entry] if entry is not None else []
    faults += _clashes(entries)
    if faults:
        raise refuse(f"entries in {submissions}", faults)
    return sorted(entries, key=lambda entry: entry.metadata.name)


def _read_entry(folder: Path) -> tuple[Entry | None, list[Fault]]:
    lists: list[FaultList] = []

    def reporter(file: str) -> FaultList:
        lists.append(FaultList(f"{folder.name}/{file}"))
        return lists[-1]

    for path in sorted(folder.rglob("*")):
        if path.is_symlink():  # a link could carry a file of the building machine onto the page
            reporter(str(path.relative_to(folder)))("", "is a symbolic link", "put the file itself there")
    if lists:
        return None, [fault for each in lists for fault in each.faults]

    metadata = read_metadata(folder / "metadata.toml", report := reporter("metadata.toml"))
    if metadata and folder.name != (expected := f"{metadata.date}_{metadata.name}"):
        report("name", f"the folder is called {folder.name!r}", f"rename it to {expected!r}")
    code = _read_code(folder / "estimator.py", reporter("estimator.py"))
    results: dict[str, Results] = {}
    for path in sorted(folder.glob("results/*.json")):
        found = _read_results(path, folder, metadata, reporter(f"results/{path.name}"))
        if found is not None:
            results[path.stem] = found
    for path in sorted(folder.glob("predictions/*")):
        if not (folder / "results" / f"{path.stem}.json").exists():
            reporter(f"predictions/{path.name}")("", "has no results beside it", "score it, or remove it")
    if not any(folder.glob("results/*.json")):
        reporter("results")("", "holds no results", "add a run with `sveb submit`")
    faults = [fault for each in lists for fault in each.faults]
    return (None if faults or metadata is None else Entry(folder, metadata, results, code)), faults


def _read_code(path: Path, report: FaultList) -> str | None:
    if not path.exists():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        report("", f"is not UTF-8 text ({error.reason})", "save it as UTF-8")
        return None


def _read_results(path: Path, folder: Path, metadata: Metadata | None, report: FaultList) -> Results | None:
    try:
        results = Results.read(path)
    except SvebError as error:
        report("", str(error), "copy the file that scoring wrote")
        return None
    check_results(results, CATALOGUE, report)
    if report.faults:
        return None
    if path.stem != (key := suite_key(results)):
        report("info.suite", f"is {key}", f"name the file {key}.json, and its predictions {key}.parquet")
    check_predictions(folder / "predictions" / f"{path.stem}.parquet", results, report)
    check_code(folder / "estimator.py", results, report)
    if metadata and metadata.params != without_none(results.info.estimator.params):
        found = without_none(results.info.estimator.params)
        report("info.estimator.params", f"are {found}", f"metadata.toml says {metadata.params}: make them agree")
    return None if report.faults else results


def _clashes(entries: Sequence[Entry]) -> list[Fault]:
    """Names used twice, and suites that share name and version but not their bytes: their scores cannot be compared."""
    faults: list[Fault] = []
    names: dict[str, str] = {}
    suites: dict[str, tuple[str, str]] = {}
    for entry in entries:
        here, name = entry.folder.name, entry.metadata.name
        if name in names:
            faults.append(
                Fault(f"{here}/metadata.toml", "name", f"{name!r} is taken by {names[name]}", "choose another")
            )
        names.setdefault(name, here)
        for key, results in entry.results.items():
            checksum = results.info.suite.checksum
            first, known = suites.setdefault(key, (here, checksum))
            if checksum != known:
                faults.append(
                    Fault(
                        f"{here}/results/{key}.json",
                        "info.suite.checksum",
                        f"is {checksum[:12]}, but {first} has {known[:12]} for the same version",
                        "run both on one and the same suite",
                    )
                )
    return faults


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
) -> Path:
    """Copies a scored run (runs/<suite>/<slug>/) into an entry and returns the entry's folder.

    Where an entry of this name exists already, the suite is added to it, or takes the place of an earlier run on the
    same suite; its metadata stay as they are. `name` and `title` default to the run folder's name (`mc-k=4` gives
    `mc-k-4`), `method` to the estimator's description. Raises `SvebError` when the result would not be a valid
    entry, before anything is written.
    """
    results = Results.read(run_folder / "results.json")
    info = results.info
    label = run_folder.resolve().name
    wanted = name or re.sub(r"[^a-z0-9._-]+", "-", label.lower()).strip("-._")[:64]
    if not NAME.fullmatch(wanted):
        raise SvebError(f"{wanted!r} cannot name an entry: {NAME_RULE}")
    old = _folder_of(submissions, wanted)
    work = submissions / f".{wanted}.{os.getpid()}.tmp"
    with disk_errors(submissions):
        try:
            submissions.mkdir(parents=True, exist_ok=True)
            # Built and checked aside, then renamed into place: an entry is never half there.
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
                    params=without_none(info.estimator.params),
                ).write(new / "metadata.toml")
            _copy_run(run_folder, new, results)
            entry, faults = _read_entry(new)
            if entry is None:
                raise refuse(f"the run {run_folder} does not make a valid entry {wanted!r}", faults)
            write_text(new / "README.md", readme(entry.folder.name, entry.metadata, entry.results))
            aside = submissions / f".{new.name}.old"
            if old:
                old.rename(aside)
            new.rename(submissions / new.name)
            shutil.rmtree(aside, ignore_errors=True)
            return submissions / new.name
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _folder_of(submissions: Path, name: str) -> Path | None:
    found = [path for path in submissions.glob(f"*_{name}") if path.name.partition("_")[2] == name]
    if len(found) > 1:
        raise SvebError(
            f"several entries are named {name!r}: {', '.join(sorted(p.name for p in found))}; remove all but one"
        )
    return found[0] if found else None


def _copy_run(run_folder: Path, entry: Path, results: Results) -> None:
    key = suite_key(results)
    pairs = [("predictions.parquet", f"predictions/{key}.parquet"), ("results.json", f"results/{key}.json")]
    if results.info.estimator.code_sha256 is not None:
        pairs.append(("estimator.py", "estimator.py"))
    for source, target in pairs:
        if not (run_folder / source).is_file():
            raise SvebError(f"{run_folder} holds no {source}: run `sveb eval` again, and add the folder that it names")
        (entry / target).parent.mkdir(exist_ok=True)
        shutil.copyfile(run_folder / source, entry / target)
