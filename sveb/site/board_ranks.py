"""Ranks as joint intervals, where the truth of an entry's suite lies on the building machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError
from sveb.runs.predictions import Predictions
from sveb.score.align import align
from sveb.score.arrays import BoolArray, FloatArray
from sveb.score.bootstrap import resample
from sveb.score.rank_intervals import Ranking, rank_values
from sveb.score.truth import Truth, read_truth
from sveb.site.report_figures import reliability
from sveb.site.site_data import JointRank, Row, SuiteView
from sveb.suite.suite import Suite, local_suites

_ABSURD = 1e100  # a larger value has no finite square, and would leave no figure of any entry


@dataclass(frozen=True, eq=False)
class Known:
    """A suite whose truth is at hand, and the entries' values for its n states.

    By entry: `values` (n,) in the truth's order; where an entry gave none, `given` (n,) is False and the value is the
    training mean, as in its results. Entries whose predictions do not fit the suite are in neither.
    """

    suite: Suite
    truth: Truth
    values: Mapping[str, FloatArray]
    given: Mapping[str, BoolArray]


def known(view: SuiteView, more: Sequence[Suite] = ()) -> Known | str:
    """The suite of `view`, among `more`, those under ./suites and in the package; or why it cannot be, in words."""
    named = [suite for suite in (*more, *_local_suites()) if suite.name == view.name]
    suite = next((suite for suite in named if suite.checksum == view.results.info.suite.checksum), None)
    if suite is None:
        which = "only another version of the suite was" if named else "the suite was not"
        return f"{which} at hand when this page was built"
    try:
        truth = read_truth(suite)
    except SvebError:
        return "the suite at hand could not be read when this page was built"
    values, given = {}, {}
    for row in view.rows:
        path = row.entry.folder / "predictions" / f"{view.key}.parquet"
        try:
            found = align(Predictions.read(path), truth, suite, path, allow_missing=True)
        except SvebError:
            continue  # its results stand on its own word: it is shown without an interval
        if np.abs(found[0]).max() > _ABSURD:
            continue
        values[row.entry.metadata.name], given[row.entry.metadata.name] = found
    return Known(suite, truth, values, given)


def suites_in(folder: Path) -> list[Suite]:
    """The suites in `folder`, or the one that it is. Raises `SvebError` where it holds none, or one does not open."""
    found = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    suites = [Suite.open(each) for each in found if (each / "manifest.json").is_file()]
    if not suites:
        raise SvebError(f"no suite in {folder}: give a suite's folder, or one that holds suites' folders")
    return suites


def _local_suites() -> Iterator[Suite]:
    for path in local_suites().values():
        try:
            yield Suite.open(path)
        except SvebError:
            continue  # it was not asked for


def with_ranks(view: SuiteView, known: Known | str) -> SuiteView:
    """`view` with the joint rank of each entry whose predictions fit, or with the reason why there is none."""
    if isinstance(known, str):
        return replace(view, unranked=known)
    if not known.values:
        return replace(view, unranked="no entry's predictions fit the suite")
    try:
        ranking = rank_values(known.truth, known.values, resample(len(known.truth.problem_ids)))
    except SvebError:
        return replace(view, unranked="the suite has no states along a response")
    titles = {row.entry.metadata.name: row.entry.metadata.title for row in view.rows}
    joint = _joint_ranks(ranking, titles, len(known.truth.problem_ids))
    rows = [replace(row, rank=replace(row.rank, joint=joint.get(row.entry.metadata.name))) for row in view.rows]
    return replace(view, unranked=None, rows=rows)


def with_bins(view: SuiteView, known: Known) -> SuiteView:
    """`view` with the reliability of each entry whose predictions fit."""
    resamples = resample(len(known.truth.problem_ids))

    def binned(row: Row) -> Row:
        values = known.values.get(row.entry.metadata.name)
        if values is None:
            return row
        bins = reliability(known.truth, values, resamples)
        return replace(row, bins=tuple((b.predicted, b.truth.value, b.truth.low, b.truth.high) for b in bins))

    return replace(view, rows=[binned(row) for row in view.rows])


def _joint_ranks(ranking: Ranking, titles: Mapping[str, str], problems: int) -> dict[str, JointRank]:
    count = len(ranking.names)
    sizes = np.bincount(ranking.tie_group, minlength=count + 1)
    shared = [group for group in range(1, count + 1) if sizes[group] > 1]
    found = {}
    for i, name in enumerate(ranking.names):
        group = int(ranking.tie_group[i])
        low, high = int(ranking.rank_low[i]), int(ranking.rank_high[i])
        letter = _letter(shared.index(group)) if group in shared else None
        note = f"rank {low if low == high else f'{low} to {high}'} of {count}, all ranks at once with 95 % confidence"
        found[name] = JointRank(low, high, letter, f"{note}; {_separation(ranking, i, titles, problems)}")
    return found


def _separation(ranking: Ranking, i: int, titles: Mapping[str, str], problems: int) -> str:
    """How entry `i` stands to those that it is not separated from, and what would separate it from the nearest."""
    tied = [j for j in np.flatnonzero(~ranking.separated[i]).tolist() if j != i]
    if not tied:
        return "separated from every other entry"
    j = min(tied, key=lambda j: (abs(j - i), j))
    text = f"not separated from {len(tied)} {'other' if len(tied) == 1 else 'others'}"
    nearest = f"the nearest, \u2068{titles[ranking.names[j]]}\u2069"  # its direction marks stay its own
    needed = ranking.problems_needed[i, j]
    if math.isfinite(needed):
        return (
            f"{text}; from {nearest}, about {_round(needed):,} problems like these would separate it "
            f"(here are {problems:,})"
        )
    return f"{text}; nothing here tells it from {nearest}"


def _round(count: float) -> int:
    """To two significant digits: the figure is a projection."""
    return int(float(f"{count:.2g}"))


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
