"""Entries of the leaderboard. Each entry is one folder.

    submissions/<date>_<name>/
      metadata.toml              who, how, licence, disclosure (metadata.py)
      estimator.py               the code of a file estimator, with its modules and packages; absent for a built-in
      requirements.txt           what that code needs in addition to sveb, if anything
      predictions/<suite>.parquet
      results/<suite>.json       the scores of predictions/<suite>.parquet, with the sha256 of that file
      README.md                  how to reproduce
    submissions/verified.json    what maintainers have verified (verification_records.py)

`<suite>` is `name@version`. One entry may have results on several suites. Nothing here runs an entry's code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.faults import Fault, FaultList, refuse
from sveb.entries.entry_files import Tree, look_at
from sveb.entries.metadata import Metadata, read_metadata
from sveb.entries.reproduce_command import entry_spec, without_none
from sveb.entries.results_checks import check_code, check_predictions, check_results, suite_key
from sveb.entries.verification_records import SELF_REPORTED, Record, read_records, weakest
from sveb.runs.results import Results
from sveb.runs.run_folder import RunFolder
from sveb.score.metric_catalogue import CATALOGUE

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?\s*([<>=!~]=?=?\s*[^\s,;]+,?\s*)*")


@dataclass(frozen=True)
class Entry:
    """One checked folder. `results` by suite key, sorted; `code` is the text of estimator.py.

    `records` by suite key: what a maintainer found about exactly these files. Files that nobody verified have none.
    """

    folder: Path
    metadata: Metadata
    results: dict[str, Results]
    code: str | None
    records: dict[str, Record] = field(default_factory=dict)

    def tier_on(self, key: str) -> str:
        """The tier on one suite: self-reported, reproduced or hidden truth."""
        return self.records[key].tier if key in self.records else SELF_REPORTED

    def run(self, key: str) -> RunFolder:
        """The results on one suite, with the estimator named after the entry."""
        return RunFolder(self.metadata.name, self.folder, self.results[key])

    @property
    def tier(self) -> str:
        """The lowest tier that it has on any of its suites."""
        return weakest(self.tier_on(key) for key in self.results)


def read_entries(submissions: Path) -> list[Entry]:
    """All entries, by name. Raises one `SvebError` that lists every fault of every entry."""
    faults: list[Fault] = []
    entries: list[Entry] = []
    for folder in entry_folders(submissions):
        entry, found = read_entry(folder)
        faults += errors_of(found)
        entries += [entry] if entry is not None else []
    faults += clashes([Summary.of(entry) for entry in entries])
    if faults:
        raise refuse(f"entries in {submissions}", faults)
    records = read_records(submissions)
    entries = [replace(entry, records=records.of(entry.folder, entry.metadata.name)) for entry in entries]
    return sorted(entries, key=lambda entry: entry.metadata.name)


def entry_folders(submissions: Path) -> list[Path]:
    """The folders of entries, sorted. Raises SvebError if `submissions` is not a folder."""
    if not submissions.is_dir():
        raise SvebError(
            f"no folder of entries at {submissions}: give the folder that contains the <date>_<name>/ folders"
        )
    return sorted(path for path in submissions.iterdir() if path.is_dir() and path.name[0] not in "._")


def errors_of(faults: Sequence[Fault]) -> list[Fault]:
    """The faults that make an entry invalid."""
    return [fault for fault in faults if fault.severity == "error"]


def read_entry(folder: Path) -> tuple[Entry | None, list[Fault]]:
    """The entry and all its faults. The entry is None if one of the faults is an error."""
    lists: list[FaultList] = []

    def reporter(file: str) -> FaultList:
        lists.append(FaultList(f"{folder.name}/{file}"))
        return lists[-1]

    entry = None
    try:
        if folder.is_symlink():
            reporter("")("", "is a symbolic link", "put the folder itself there")
        else:
            entry = _read(look_at(folder, reporter), reporter)
    except OSError as error:
        reporter("")("", f"cannot be read ({error.strerror})", "fix its rights")
    faults = [fault for each in lists for fault in each.faults]
    return (None if errors_of(faults) else entry), faults


def _read(tree: Tree, reporter: Callable[[str], FaultList]) -> Entry | None:
    if not tree.complete:
        return None
    folder, metadata = tree.folder, None
    report = reporter("metadata.toml")
    if "metadata.toml" not in tree.spoiled:
        metadata = read_metadata(folder / "metadata.toml", report)
    if metadata and folder.name != (expected := f"{metadata.date}_{metadata.name}"):
        report("name", f"the folder is called {folder.name!r}", f"rename it to {expected!r}")
    code = {name: _read_text(folder / name, reporter(name)) for name in tree.code}
    _check_others(tree, reporter)
    results: dict[str, Results] = {}
    for path in tree.within("results"):
        found = _read_results(path, tree, metadata, reporter(f"results/{path.name}"))
        if found is not None:
            results[path.stem] = found
    if not any(name.partition("/")[0] == "results" for name in tree.spoiled):
        _check_suites(tree, metadata, reporter)
    return Entry(folder, metadata, results, code.get("estimator.py")) if metadata else None


def _check_suites(tree: Tree, metadata: Metadata | None, reporter: Callable[[str], FaultList]) -> None:
    kept = {path.stem for path in tree.within("results")}
    for path in tree.within("predictions"):
        if path.stem not in kept:
            reporter(f"predictions/{path.name}")("", "has no results next to it", "score it, or remove it")
    if not kept:
        reporter("results")("", "contains no results", "add a run with `sveb submit`")
    elif metadata and set(metadata.suites) != kept:
        wrong, fix = f"are {sorted(metadata.suites)}", f"results/ holds {sorted(kept)}: make them agree"
        reporter("metadata.toml")("suites", wrong, fix)


def _check_others(tree: Tree, reporter: Callable[[str], FaultList]) -> None:
    for name in ("README.md", "requirements.txt"):
        text = _read_text(tree.folder / name, reporter(name)) if tree.has(name) else None
        if name == "README.md":
            if text is None and name not in tree.spoiled:
                reporter(name).warn("", "is missing", "explain how to reproduce the entry, as `sveb submit` does")
            continue
        for number, line in enumerate((text or "").splitlines(), 1):
            wanted = line.partition("#")[0].strip()
            if wanted and not _REQUIREMENT.fullmatch(wanted):
                report = reporter(name)
                report(
                    f"line {number}",
                    "is not name==version",
                    "list packages of the package index, without options or links",
                )


def _read_text(path: Path, report: FaultList) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        report("", f"is not UTF-8 text ({error.reason})", "save it as UTF-8")
        return None


def _read_results(path: Path, tree: Tree, metadata: Metadata | None, report: FaultList) -> Results | None:
    again = "copy the file that scoring wrote"
    try:
        results = Results.read(path)
        check_results(results, CATALOGUE, report)
    except SvebError as error:
        report("", str(error).replace(str(path), "the file"), again)
    except RecursionError:
        report("", "nests too many objects or lists", again)
    except ValueError as error:  # a number of more digits than Python reads
        report("", f"is not valid JSON ({error})", again)
    if report.faults:
        return None
    key = suite_key(results)
    if path.stem != key:
        report("info.suite", f"is {key}", f"name the file {key}.json, and its predictions {key}.parquet")
    if f"predictions/{path.stem}.parquet" not in tree.spoiled:
        check_predictions(tree.folder / "predictions" / f"{path.stem}.parquet", results, report)
    if "estimator.py" not in tree.spoiled:
        check_code(tree.folder / "estimator.py", results, report)
    if metadata:
        _check_agreement(metadata, results, report)
    return None if report.faults else results


def _check_agreement(metadata: Metadata, results: Results, report: FaultList) -> None:
    found = without_none(results.info.estimator.params)
    if metadata.params != found:
        report("info.estimator.params", f"are {found}", f"metadata.toml says {metadata.params}: make them agree")
    spec = entry_spec(results.info)
    if metadata.spec != spec:
        report("info.estimator.spec", f"is {spec!r}", f"metadata.toml says {metadata.spec!r}: make them agree")


@dataclass(frozen=True)
class Summary:
    """What must not conflict between two entries: `suites` are their checksums by suite key."""

    folder: str
    name: str
    suites: dict[str, str]

    @classmethod
    def of(cls, entry: Entry) -> Summary:
        suites = {key: results.info.suite.checksum for key, results in entry.results.items()}
        return cls(entry.folder.name, entry.metadata.name, suites)


def clashes(entries: Sequence[Summary]) -> list[Fault]:
    """Names used twice, and suites with equal name and version but different bytes: their scores are not comparable."""
    faults: list[Fault] = []
    names: dict[str, str] = {}
    suites: dict[str, tuple[str, str]] = {}
    for entry in entries:
        here = entry.folder
        if entry.name in names:
            wrong = f"{entry.name!r} is taken by {names[entry.name]}"
            faults.append(Fault(f"{here}/metadata.toml", "name", wrong, "choose another"))
        names.setdefault(entry.name, here)
        for key, checksum in entry.suites.items():
            first, known = suites.setdefault(key, (here, checksum))
            if checksum != known:
                wrong = f"is {checksum[:12]}, but {first} has {known[:12]} for the same version"
                place = "info.suite.checksum"
                faults.append(Fault(f"{here}/results/{key}.json", place, wrong, "run both on the same suite"))
    return faults
