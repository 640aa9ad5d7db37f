"""The picture of a skill in the table of results."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from sveb.cli.run_tables import remarks, results_table, skill_picture
from sveb.cli.score_tables import metrics_table
from sveb.runs.results import BySeed, Estimate, Results
from tests.support import synthetic


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.2, 0.8, "    │  ─────●─────   "),
        (0.2, math.nan, "    │  ─────●        "),
        (math.nan, 0.7, "    │       ●───     "),
        (math.nan, math.nan, "    │       ●        "),
    ],
)
def test_an_interval_without_an_end_is_drawn_up_to_the_value(low: float, high: float, expected: str) -> None:
    assert skill_picture(Estimate(0.5, low, high)).plain == expected


def test_the_table_shows_both_headlines_and_marks_public_truth(tmp_path: Path) -> None:
    results = Results.read(synthetic.write_run(tmp_path / "numca") / "results.json")
    made = results_table([("numca", results)], "numca")
    assert [str(column.header) for column in made.columns[2:4]] == ["skill", "adv_corr"]
    assert "public truth" in str(made.title)


@pytest.mark.parametrize(("name", "variant"), [("numca", "official"), ("hista", "official"), ("numca", "backoff")])
def test_a_variant_that_cannot_be_run_as_published_says_so(tmp_path: Path, name: str, variant: str) -> None:
    run = synthetic.write_run(tmp_path / "run", name, {"variant": variant}, spec=name)
    results = Results.read(run / "results.json")
    (cell,) = results_table([(name, results)], name).columns[0].cells
    told = "\n".join(remarks(results, None))
    if variant == "backoff":
        assert (cell, "not as published" in told) == (name, False)
    else:
        assert cell == f"{name} (not as published)"
        assert "not as published:[/] The published method scores responses" in told


def test_a_run_of_several_seeds_says_so_with_the_skill_of_each(tmp_path: Path) -> None:
    one = Results.read(synthetic.write_run(tmp_path / "numca") / "results.json")
    found = BySeed([0, 1, 2], {"skill": [0.1, 0.2, 0.3]}, {"skill": 0.1, "worth": math.nan})
    three = replace(one, by_seed=found)
    made = results_table([("numca", one), ("critic", three)], "critic")
    assert set(made.columns[0].cells) == {"numca", "critic (3 seeds)"}
    assert "95 % intervals over problems and seeds" in str(made.title)
    assert "95 % intervals over problems and 3 seeds" in str(metrics_table(three).title)
    assert "every figure is the mean over seeds 0 to 2: skill 0.100, 0.200, 0.300, standard deviation 0.100" in list(
        remarks(three, None)
    )


def test_explained_variance_is_told_with_the_group_mean_and_the_ceiling(tmp_path: Path) -> None:
    results = Results.read(synthetic.write_run(tmp_path / "numca") / "results.json")
    figures = {"": 0.12, "_group": 0.1, "_ceiling": 0.54}
    results.metrics.update(
        {f"explained_variance{part}": Estimate(value, math.nan, math.nan) for part, value in figures.items()}
    )
    (line,) = (line for line in remarks(results, None) if "explained" in line)
    assert line.endswith("log it: 0.120; group mean 0.100, V itself (the ceiling) 0.540")
