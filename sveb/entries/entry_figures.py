"""Computes the figures of all entries whose suite is on this machine, and keeps them in files.

See sveb/runs/figures.py for the files. A file is computed again only if its source has changed: the suite, an
entry's predictions, or the scorer's code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError
from sveb.entries.entry import Entry
from sveb.runs.figures import (
    AcrossFigures,
    BoardFigures,
    Figures,
    RunFigures,
    Source,
    across_file,
    board_file,
    entry_file,
    read_figures,
    write_figures,
)
from sveb.runs.predictions import Predictions
from sveb.score.across_suites import across_suites
from sveb.score.align import align
from sveb.score.arrays import BoolArray, FloatArray
from sveb.score.board_figures import board_figures
from sveb.score.run_figures import run_figures
from sveb.score.scorer_code import code_sha256
from sveb.score.truth import Truth, read_truth
from sveb.suite.suite import Suite, local_suites

_ABSURD = 1e100  # the square of a larger value may overflow, and then no entry would have figures


def write_entry_figures(entries: Sequence[Entry], figures: Path, suites: Sequence[Suite]) -> dict[str, Suite | str]:
    """Brings the files under `figures` up to date.

    Returns for each suite key the suite that its figures were computed on, or the reason why there are no figures.
    Suites are searched in `suites`, in ./suites and in the package.
    """
    found: dict[str, Suite | str] = {}
    here = [*suites, *_local_suites()]
    for key in sorted({key for entry in entries for key in entry.results}):
        mine = [entry for entry in entries if key in entry.results]
        suite = _suite_of(mine[0], key, here)
        found[key] = suite if isinstance(suite, str) else _write(key, mine, suite, figures)
    _write_across(entries, {key: suite for key, suite in found.items() if isinstance(suite, Suite)}, figures)
    return found


def suites_in(folder: Path) -> list[Suite]:
    """The suites in `folder`, or `folder` itself if it is a suite. Raises `SvebError` if none is found or one fails."""
    found = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    suites = [Suite.open(each) for each in found if (each / "manifest.json").is_file()]
    if not suites:
        raise SvebError(f"no suite in {folder}: give the folder of a suite, or a folder that contains suites")
    return suites


def _local_suites() -> Iterator[Suite]:
    for path in local_suites().values():
        try:
            yield Suite.open(path)
        except SvebError:
            continue  # nobody asked for this one


def _suite_of(entry: Entry, key: str, suites: Sequence[Suite]) -> Suite | str:
    wanted = entry.results[key].info.suite
    named = [suite for suite in suites if suite.name == wanted.name]
    suite = next((suite for suite in named if suite.checksum == wanted.checksum), None)
    if suite is not None:
        return suite
    which = "only another version of the suite was" if named else "the suite was not"
    return f"{which} at hand when this page was built"


def _write(key: str, entries: Sequence[Entry], suite: Suite, figures: Path) -> Suite | str:
    digests = {entry.metadata.name: entry.results[key].predictions_sha256 for entry in entries}
    whole = Source(code_sha256(), suite.checksum, digests)
    single = {name: Source(whole.code, suite.checksum, {name: digest}) for name, digest in digests.items()}
    board = _stored(BoardFigures, board_file(figures, key), whole)
    if board and all(_stored(RunFigures, entry_file(figures, key, name), single[name]) for name in board.entries):
        return suite
    try:
        truth = read_truth(suite)
    except SvebError:
        return "the suite at hand could not be read when this page was built"
    values, given = _aligned(key, entries, truth, suite)
    if board is None:
        write_figures(board_figures(truth, values, given, _group_mean(key, entries)), whole, board_file(figures, key))
    for name, of_entry in values.items():
        path = entry_file(figures, key, name)
        if _stored(RunFigures, path, single[name]) is None:
            write_figures(run_figures(suite, truth, of_entry, name), single[name], path)
    return suite


def _write_across(entries: Sequence[Entry], suites: Mapping[str, Suite], figures: Path) -> None:
    """The figures of the entries on all suites that are at hand."""
    predictions = {
        f"{key}/{entry.metadata.name}": entry.results[key].predictions_sha256
        for key in suites
        for entry in entries
        if key in entry.results
    }
    source = Source(code_sha256(), " ".join(suite.checksum for suite in suites.values()), predictions)
    if _stored(AcrossFigures, across_file(figures), source):
        return
    several = {}
    for key, suite in suites.items() if len(suites) > 1 else ():
        truth = read_truth(suite)
        several[key] = truth, _aligned(key, [entry for entry in entries if key in entry.results], truth, suite)[0]
    write_figures(across_suites(several), source, across_file(figures))


def _aligned(
    key: str, entries: Sequence[Entry], truth: Truth, suite: Suite
) -> tuple[Mapping[str, FloatArray], Mapping[str, BoolArray]]:
    """Two maps by entry: its values, and which of them it gave itself. Both leave out entries that do not fit."""
    values, given = {}, {}
    for entry in entries:
        path = entry.folder / "predictions" / f"{key}.parquet"
        try:
            found = align(Predictions.read(path), truth, suite, path, allow_missing=True)
        except SvebError:
            continue  # the page shows only the results that the entry contains, without these figures
        if np.abs(found[0]).max() > _ABSURD:
            continue
        values[entry.metadata.name], given[entry.metadata.name] = found
    return values, given


def _group_mean(key: str, entries: Sequence[Entry]) -> str | None:
    names = (entry.metadata.name for entry in entries if entry.run(key).is_group_mean)
    return next(names, None)


def _stored(kind: type[Figures], path: Path, source: Source) -> Figures | None:
    try:
        return read_figures(kind, path, source)
    except SvebError:
        return None
