"""`sveb reproduce`: an entry's runs made again, to the byte, with its scores.

<out>/<entry's name>/<suite>/
  predictions.parquet   the new values, under the account that the entry holds: a clock never says the same twice
  results.json          the scores of these
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sveb.common.errors import unknown_name
from sveb.common.faults import refuse
from sveb.common.files import sha256
from sveb.entries.entry import Entry, entry_folders, errors_of, read_entry
from sveb.entries.rerun import Progress, Rerun, rerun, suites_of
from sveb.score.score import score


@dataclass(frozen=True)
class Reproduction:
    """One suite of an entry. `predictions_same` and `results_same`: the files are the entry's own, to the byte."""

    key: str
    folder: Path
    run: Rerun
    predictions_same: bool
    results_same: bool

    @property
    def same(self) -> bool:
        """Whether nothing differs, but for what a clock gave."""
        return self.predictions_same and self.results_same and not self.run.otherwise


def find_entry(submissions: Path, name: str) -> Entry:
    """The entry of this name, or folder. Raises `SvebError` with its faults, or with the names that there are."""
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
    """Runs the entry again on each of its suites, or on the one named by its folder, and scores that."""
    found = []
    for key, opened in suites_of(entry, suite).items():
        folder = out / entry.metadata.name / key
        shutil.rmtree(folder, ignore_errors=True)
        missing = entry.results[key].counts.get("missing_predictions", 0) > 0
        made = rerun(entry, key, opened, folder, unconfined=unconfined, progress=progress and progress(key))
        score(opened, made.predictions, allow_missing=missing).write(folder / "results.json")
        pairs = [
            (made.predictions, entry.folder / "predictions" / f"{key}.parquet"),
            (folder / "results.json", entry.folder / "results" / f"{key}.json"),
        ]
        found.append(Reproduction(key, folder, made, *(sha256(mine) == sha256(theirs) for mine, theirs in pairs)))
    return found
