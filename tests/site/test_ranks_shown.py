"""Joint ranks on the page: against values worked out by hand, and only where the suite's truth is at hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.entries.entry import read_entries
from sveb.entries.entry_figures import suites_in, write_entry_figures
from sveb.entries.submit import make_entry
from sveb.publication import build
from sveb.runs.predictions import Predictions
from sveb.runs.results import Results
from sveb.score.truth import read_truth
from sveb.site.build import with_figures
from sveb.site.rank_notes import _letter
from sveb.site.site_data import SuiteView, suite_views
from sveb.suite.suite import Suite
from tests.support import synthetic
from tests.support.suites import traced, write_run


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """The traced suite under ./suites."""
    made, _ = traced(tmp_path / "suites" / "traced")
    monkeypatch.chdir(tmp_path)
    return made


def enter(suite: Suite, work: Path, **offsets: float) -> Path:
    """Entries that miss every state's measured value by the same amount."""
    truth = read_truth(suite)
    for name, offset in offsets.items():
        values = {state: float(g) + offset for state, g in zip(truth.state_ids, truth.mean, strict=True)}
        run = write_run(work / "runs" / name, suite, values)
        make_entry(run, work / "submissions", date=synthetic.DATE, name=name, title=name, team="A team")
    return work / "submissions"


def view_of(submissions: Path, suites: Sequence[Suite] = ()) -> SuiteView:
    entries, figures = read_entries(submissions), submissions.parent / "figures"
    found = write_entry_figures(entries, figures, suites)
    (view,) = suite_views(entries)
    return with_figures(view, figures, found[view.key])


def joint(view: SuiteView) -> dict[str, tuple[int, int, str | None] | None]:
    ranks = {row.entry.metadata.name: row.rank.joint for row in view.rows}
    return {name: (rank.low, rank.high, rank.group) if rank else None for name, rank in ranks.items()}


def test_equal_errors_share_a_tie_group_and_constant_differences_separate(suite: Suite, tmp_path: Path) -> None:
    # Squared errors are .01, .01, .04 and .09 at every state: no spread between problems, so only equals are tied.
    view = view_of(enter(suite, tmp_path, over=0.1, under=-0.1, far=0.2, farther=0.3))
    assert view.unranked is None
    assert joint(view) == {"over": (1, 2, "a"), "under": (1, 2, "a"), "far": (3, 3, None), "farther": (4, 4, None)}
    notes = {row.entry.metadata.name: row.rank.joint.note for row in view.rows if row.rank.joint}
    assert notes["far"] == "rank 3 of 4, all ranks at once with 95 % confidence; separated from every other entry"
    assert notes["over"].startswith(
        "rank 1 to 2 of 4, all ranks at once with 95 % confidence; not separated from 1 other"
    )


def test_the_problems_that_would_separate_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    view = view_of(synthetic.traced_entries(tmp_path, estimators={"one": 0.2, "two": 0.205}))
    rank = next(row.rank.joint for row in view.rows if row.entry.metadata.name == "one")
    assert rank is not None
    assert rank.low < rank.high
    assert "problems like these would separate it (here are 6)" in rank.note
    assert "from the nearest, \u2068" in rank.note


def test_without_the_suite_marginal_overlaps_stay_and_the_page_says_why(suite: Suite, tmp_path: Path) -> None:
    submissions = enter(suite, tmp_path, over=0.1, under=-0.1)
    (tmp_path / "suites").rename(tmp_path / "elsewhere")
    view = view_of(submissions)
    assert view.unranked == "the suite was not at hand when this page was built"
    assert joint(view) == {"over": None, "under": None}
    assert [row.rank.overlaps for row in view.rows] == [1, 1]
    assert not (build(submissions, tmp_path / "site").parent / "explore").exists()


def test_versions_are_told_apart_by_their_bytes_wherever_their_folders_lie(suite: Suite, tmp_path: Path) -> None:
    submissions = enter(suite, tmp_path, over=0.1, far=0.2)
    (tmp_path / "suites").rename(tmp_path / "kept")
    (tmp_path / "kept" / "traced").rename(tmp_path / "kept" / "first")
    newer, _ = traced(tmp_path / "suites" / "traced", seed=1)
    replace(newer.manifest, version="1.1.0").write(newer.path)
    assert view_of(submissions).unranked == "only another version of the suite was at hand when this page was built"
    for folder in (tmp_path / "kept", tmp_path / "kept" / "first"):
        assert joint(view_of(submissions, suites_in(folder))) == {"over": (1, 1, None), "far": (2, 2, None)}
    site = build(submissions, tmp_path / "site", [tmp_path / "kept"]).parent
    assert (site / "explore" / "traced@1.0.0.html").is_file()
    for folder in (tmp_path / "nowhere", tmp_path / "submissions"):
        with pytest.raises(SvebError, match="give the folder of a suite, or a folder that contains"):
            build(submissions, tmp_path / "site", [folder])


def test_scores_on_public_truth_say_so(suite: Suite, tmp_path: Path) -> None:
    submissions = enter(suite, tmp_path, over=0.1, far=0.2)
    for path in submissions.glob("*/results/*.json"):
        replace(Results.read(path), truth="public").write(path)
    assert '["truth","public: scores on the problems whose truth' in build(submissions, tmp_path / "site").read_text(
        "utf-8"
    )


def test_a_suite_of_the_same_name_and_other_bytes_is_not_the_truth(suite: Suite, tmp_path: Path) -> None:
    submissions = enter(suite, tmp_path, over=0.1)
    replace(suite.manifest, version="1.0.1").write(suite.path)
    view = view_of(submissions)
    assert view.unranked == "only another version of the suite was at hand when this page was built"


def test_predictions_that_do_not_fit_cost_only_their_own_entry_its_interval(suite: Suite, tmp_path: Path) -> None:
    enter(suite, tmp_path, over=0.1, far=0.2)
    for name, change in (("unknown", {"nowhere": 0.5}), ("absurd", {"p000/root": 1e300})):
        run = write_run(tmp_path / "forged" / name, suite, dict.fromkeys(suite.states.index, 0.5))
        honest = Predictions.read(run / "predictions.parquet")
        values = dict(zip(honest.state_ids, honest.values.tolist(), strict=True)) | change
        Predictions(honest.info, list(values), np.array(list(values.values()))).write(run / "predictions.parquet")
        results = Results.read(run / "results.json")
        replace(results, predictions_sha256=sha256(run / "predictions.parquet")).write(run / "results.json")
        make_entry(run, tmp_path / "submissions", date=synthetic.DATE, name=name, team="A team")
    view = view_of(tmp_path / "submissions")
    assert joint(view) == {"over": (1, 1, None), "far": (2, 2, None), "unknown": None, "absurd": None}
    page = build(tmp_path / "submissions", tmp_path / "site").parent / "explore" / "traced@1.0.0.html"
    assert '"name":"over"' in page.read_text(encoding="utf-8")
    assert '"name":"absurd"' not in page.read_text(encoding="utf-8")


def test_downloads_and_pages_carry_the_interval_and_repeat_to_the_byte(suite: Suite, tmp_path: Path) -> None:
    submissions = enter(suite, tmp_path, over=0.1, under=-0.1, far=0.2)
    site = build(submissions, tmp_path / "one").parent
    rows = list(csv.DictReader(io.StringIO((site / "data" / "traced@1.0.0.csv").read_text(encoding="utf-8"))))
    assert [(row["rank_low"], row["rank_high"], row["tie_group"]) for row in rows] == [
        ("1", "2", "a"), ("1", "2", "a"), ("3", "3", ""),
    ]  # fmt: skip
    whole = json.loads((site / "data" / "traced@1.0.0.json").read_text(encoding="utf-8"))
    assert whole["entries"][2]["joint"]["low"] == 3
    assert "rank 1 to 2 of 3" in (site / "entries" / "over.html").read_text(encoding="utf-8")
    again = build(submissions, tmp_path / "two").parent
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert len(files) == 9
    assert all((site / path).read_bytes() == (again / path).read_bytes() for path in files)


def test_letters_go_on_after_z() -> None:
    assert [_letter(index) for index in (0, 25, 26, 27, 702)] == ["a", "z", "aa", "ab", "aaa"]
