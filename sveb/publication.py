"""The leaderboard and the report of one run: `score` computes the figures into files, then `site` draws from these."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.entries.entry import Entry, read_entries
from sveb.entries.entry_figures import suites_in, write_entry_figures
from sveb.entries.reproduce import Reproduction
from sveb.runs.figures import RunFigures, Source, read_figures, write_figures
from sveb.runs.results import Results
from sveb.runs.run_folder import RunFolder, read_run
from sveb.runs.series import Point, read_series
from sveb.runs.suite_of_run import suite_of
from sveb.score.run_figures import figures_of_run
from sveb.score.scorer_code import code_sha256
from sveb.site.build import build_site
from sveb.site.report_page import runs_of_same_suite, write_report
from sveb.site.series_page import write_series


@dataclass(frozen=True)
class RunReport:
    """What was written: the page's path, the verdict's three lines, and the other runs that it shows by name."""

    page: Path
    verdict: list[str]
    run: RunFolder
    others: dict[str, Results]


def build(submissions: Path, out: Path, suites_at: Sequence[Path] = (), figures: Path | None = None) -> Path:
    """Writes the site of all entries under `submissions` and returns the path of index.html.

    What needs a suite's truth is shown where the suite is on this machine: in the folders `suites_at`, under ./suites
    or in the package. Its figures are kept under `figures` and computed again only where their source has changed;
    without `figures` they are not kept.

    Raises `SvebError` with every fault of every entry, before anything is written.
    """
    suites = [suite for folder in suites_at for suite in suites_in(folder)]
    entries = read_entries(submissions)
    with tempfile.TemporaryDirectory(prefix="sveb-") as work:
        kept = Path(work) if figures is None else figures
        return build_site(entries, kept, write_entry_figures(entries, kept, suites), out)


def same_page(entry: Entry, found: Sequence[Reproduction], site: Path) -> bool:
    """Whether `site` holds, to the byte, the page that comes of the entry with its runs made again.

    The other entries are built as well: a page shows ranks. Raises `SvebError` where the site has no page of it.
    """
    page = Path("entries") / f"{entry.metadata.name}.html"
    if not (site / page).is_file():
        raise SvebError(f"{site} contains no {page}: give the folder that `sveb leaderboard build` made, with --site")
    with tempfile.TemporaryDirectory(prefix="sveb-") as work:
        copies = Path(work) / "submissions"
        shutil.copytree(entry.folder.parent, copies, symlinks=True)
        mine = copies / entry.folder.name
        for each in found:
            shutil.copyfile(each.run.predictions, mine / "predictions" / f"{each.key}.parquet")
            shutil.copyfile(each.folder / "results.json", mine / "results" / f"{each.key}.json")
        build(copies, Path(work) / "site")
        return (Path(work) / "site" / page).read_bytes() == (site / page).read_bytes()


def report(path: Path, suite_name: str | None = None, out: Path | None = None) -> RunReport:
    """Writes the page of the run at `path` to `out`, by default report.html in its folder.

    Its figures are in a file of the same name that ends in .figures.json. Raises `SvebError` where the run is not whole
    or not of this suite.
    """
    run = read_run(path)
    suite = suite_of(run.results.info.suite, f"{run.folder} was scored on", suite_name)
    page = out or run.folder / "report.html"
    source = Source(code_sha256(), suite.checksum, {run.name: run.results.predictions_sha256})
    file = page.with_suffix(".figures.json")
    write_figures(figures_of_run(run, suite), source, file)
    others = runs_of_same_suite(run)
    verdict = write_report(run, read_figures(RunFigures, file), others, page)
    return RunReport(page, verdict, run, {other.name: other.results for other in others})


def report_series(path: Path, out: Path | None = None) -> tuple[Path, list[Point]]:
    """Writes the page of a curve over training to `out`, by default next to the jsonl file or in the folder of runs."""
    points = read_series(path)
    page = out or (path / "series.html" if path.is_dir() else path.with_suffix(".html"))
    write_series(points, path.resolve().name, page)
    return page, points
