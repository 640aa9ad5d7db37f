"""Ranks, order of suites and number formats, against values worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.entries.entry import Entry, read_entries
from sveb.entries.verification_records import Record
from sveb.publication import build
from sveb.runs.results import Estimate
from sveb.site.site_data import interval, number, rank, suite_views, version_order
from tests.support import synthetic


def pairs(entry: Entry, *estimates: tuple[float, float, float]) -> list[tuple[Entry, synthetic.Results]]:
    (results,) = entry.results.values()
    return [
        (
            replace(entry, metadata=replace(entry.metadata, name=f"e{index}")),
            replace(results, metrics={"mse": Estimate(*triple, note="none" if math.isnan(triple[0]) else None)}),
        )
        for index, triple in enumerate(estimates)
    ]


def test_rank_goes_by_mse_with_shared_places_and_overlaps_counted(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "numca")
    synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    (read,) = read_entries(tmp_path / "submissions")
    nan = math.nan
    rows = rank(
        pairs(read, (0.3, 0.25, 0.35), (0.1, 0.05, 0.15), (0.2, 0.14, 0.26), (nan, nan, nan), (0.2, 0.19, 0.21))
    )
    # e1 meets e2 (.14 < .15); e2 meets e1, e4 and e0 (.25 < .26); e4 meets e2 alone; e0 meets e2 alone.
    assert [(row.entry.metadata.name, row.rank.place, row.rank.overlaps) for row in rows] == [
        ("e1", 1, 1),
        ("e2", 2, 3),
        ("e4", 2, 1),
        ("e0", 4, 1),
        ("e3", None, 0),
    ]


def test_latest_version_comes_first_by_number_not_by_text(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1"):
        run = synthetic.write_run(tmp_path / version / "numca", suite=("ledger-nano", version))
        synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    run = synthetic.write_run(tmp_path / "x" / "other", suite=("another", "3.0.0"))
    synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    run = synthetic.write_run(tmp_path / "y" / "third", suite=("ledger-nano", "1.10.0"))
    synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    views = suite_views(read_entries(tmp_path / "submissions"))
    assert [(view.key, view.latest) for view in views] == [
        ("ledger-nano@1.10.0", True),
        ("ledger-nano@1.10.0-rc.1", False),
        ("ledger-nano@1.9.0", False),
        ("another@3.0.0", True),
    ]
    assert version_order("2.0.0+build.7") == version_order("2.0.0")


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.1234, 3, "0.123"), (-0.1, 2, "−0.10"), (-0.0001, 3, "0.000"), (12.0, 0, "12"), (-0.0, 1, "0.0")],
)
def test_figures_carry_a_true_minus_and_no_negative_zero(value: float, places: int, text: str) -> None:
    assert number(value, places) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 5))
def test_a_printed_figure_reads_back_within_its_rounding(value: float, places: int) -> None:
    assert float(number(value, places).replace("−", "-")) == pytest.approx(value, abs=0.5000001 * 10**-places)


def test_an_end_that_does_not_exist_is_no_number() -> None:
    assert interval(Estimate(1.0, 0.5, math.nan, "unbounded"), 2) == "[0.50, n/a]"
    assert interval(Estimate(1.0, math.nan, math.nan, "one problem"), 2) == "no interval"


def with_hidden_mse(entry: Entry, name: str, mse: list[float | None]) -> Entry:
    record = Record("hidden truth", "0.1.0", "a", None, "b", "c", 0.0, 0.0, True, truth="d", hidden={"mse": mse})
    renamed = replace(entry, metadata=replace(entry.metadata, name=name))
    return replace(renamed, records=dict.fromkeys(entry.results, record))


def test_where_entries_have_scores_on_hidden_truth_these_alone_are_ranked_by_them(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "numca")
    synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    (read,) = read_entries(tmp_path / "submissions")
    (_, first), (_, second), (third, best_in_public) = pairs(read, (0.1, 0.0, 0.2), (0.2, 0.1, 0.3), (0.01, 0.0, 0.02))
    rows = rank(
        [
            (with_hidden_mse(read, "e0", [0.3, 0.25, 0.4]), first),
            (with_hidden_mse(read, "e1", [0.15, 0.1, None]), second),
            (third, best_in_public),
        ]
    )
    assert [(row.entry.metadata.name, row.rank.place, row.rank.truth, row.rank.why) for row in rows] == [
        ("e1", 1, "hidden", None),
        ("e0", 2, "hidden", None),
        ("e2", None, "public", "not scored on the hidden truth"),
    ]


@pytest.mark.parametrize(
    ("variant", "protocol", "said"),
    [("official", "standard", True), ("official", "paper", False), ("backoff", "standard", False)],
)
def test_a_variant_that_cannot_be_run_as_published_says_so(
    variant: str, protocol: str, said: bool, tmp_path: Path
) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "numca", params={"variant": variant}, protocol=protocol)
    synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    site = build(tmp_path / "submissions", tmp_path / "site").parent
    page = next((site / "entries").glob("*.html")).read_text(encoding="utf-8")
    assert ("not as published" in page) == ("hides the response that a state was cut from" in page) == said
    assert "public truth</span>" in page
    told = json.loads(next((site / "data").glob("*.json")).read_text(encoding="utf-8"))["entries"][0]
    assert (told["truth"], told["unfaithful"] is not None) == ("public", said)
