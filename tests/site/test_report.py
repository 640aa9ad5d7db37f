"""`sveb report`: one page that holds the run's figures, whatever the run, and refuses what is not a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.publication import report
from sveb.runs.results import Results
from sveb.site.site_data import number
from tests.support import suites

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\" ' & \u202e\u05d0 \x1b[31m{{ 7*7 }} {% x %}"
)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """suite/ and, scored on it, runs/guess, runs/sharp and runs/group_mean."""
    folder = tmp_path_factory.mktemp("report")
    suite, value = suites.walks(folder / "suite")
    suites.write_runs(folder / "runs", suite, value)
    return folder


@pytest.fixture
def copy(work, tmp_path) -> Path:
    """The same, to be spoilt."""
    shutil.copytree(work, tmp_path / "copy")
    return tmp_path / "copy"


def page_of(run: Path, suite: Path, out: Path) -> str:
    """The page's text without its tags, entities resolved."""
    text = report(run, str(suite), out).page.read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|script).*?</\1>", "", text))))


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(work, copy, tmp_path):
    one = report(work / "runs/guess", str(work / "suite"), tmp_path / "one.html")
    two = report(copy / "runs/guess/results.json", str(copy / "suite"), tmp_path / "two.html")
    three = report(copy / "runs/guess/predictions.parquet", str(copy / "suite"))
    assert three.page == copy / "runs/guess/report.html"
    assert one.page.read_bytes() == two.page.read_bytes() == three.page.read_bytes()
    assert str(tmp_path) not in one.page.read_text(encoding="utf-8")


def test_the_page_holds_the_results_figures_and_the_verdict(work, tmp_path):
    made = report(work / "runs/guess", str(work / "suite"), tmp_path / "page.html")
    page = page_of(work / "runs/guess", work / "suite", tmp_path / "page.html")
    results = Results.read(work / "runs/guess/results.json")
    for name, places in {"skill": 3, "mse": 4, "worth": 2, "order_steps": 3, "r2_within": 3}.items():
        e = results.metrics[name]
        assert f"{number(e.value, places)} [{number(e.low, places)}, {number(e.high, places)}]" in page
    assert len(made.verdict) == 3
    for line in made.verdict:
        assert line in page
    assert "better than the group mean" in page
    assert made.verdict[0].startswith("guess is better than group_mean: skill +0.")
    assert made.verdict[1].startswith(
        "Inside problems it follows how the value changes from state to state: r2_within 0."
    )
    assert "it used group, 12 policy tokens sampled and 34 read a state" in made.verdict[2]


def test_the_verdict_is_that_of_a_paired_comparison_with_a_run_of_group_mean(work, tmp_path):
    from sveb.score.compare import compare
    from sveb.suite.suite import Suite

    made = report(work / "runs/guess", str(work / "suite"), tmp_path / "page.html")
    paths = (work / f"runs/{name}/predictions.parquet" for name in ("guess", "group_mean"))
    assert made.verdict[0] == compare(Suite.open(work / "suite"), *paths).verdict + "."


def test_runs_beside_it_are_shown_best_first_and_strangers_left_out(copy, tmp_path):
    other, value = suites.walks(tmp_path / "other", problems=3, seed=9)
    suites.write_run(copy / "runs/foreign", other, value)
    (copy / "runs/broken").mkdir()
    (copy / "runs/broken/results.json").write_text("{")
    made = report(copy / "runs/guess", str(copy / "suite"), tmp_path / "page.html")
    assert list(made.others) == ["group_mean", "sharp"]
    rows = re.findall(r'<tr(?: class="mine")?>\s*<th scope="row"><bdi>(\w+)</bdi>', made.page.read_text("utf-8"))
    assert rows[:3] == ["sharp", "guess", "group_mean"]


def test_alone_it_has_the_same_verdict_and_says_that_nothing_lies_beside_it(work, copy, tmp_path):
    shutil.rmtree(copy / "runs/group_mean")
    shutil.rmtree(copy / "runs/sharp")
    alone = report(copy / "runs/guess", str(copy / "suite"), tmp_path / "alone.html")
    assert alone.verdict == report(work / "runs/guess", str(work / "suite"), tmp_path / "page.html").verdict
    assert "There is no other run of this suite in the same folder" in alone.page.read_text("utf-8")
    assert 'class="ghost-key" aria-hidden="true"></span> The group mean' not in alone.page.read_text("utf-8")


def test_the_group_mean_itself_is_the_zero(work, tmp_path):
    made = report(work / "runs/group_mean", str(work / "suite"), tmp_path / "page.html")
    assert made.verdict[0].startswith("group_mean is the zero of skill")
    assert "not separated from one constant value for each problem" in made.verdict[1]


def test_it_loads_nothing_and_runs_only_the_theme_script(work, tmp_path):
    text = report(work / "runs/guess", str(work / "suite"), tmp_path / "page.html").page.read_text("utf-8")
    assert text.count("<script") == 1
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text) == []
    assert "url(" not in text
    assert "@import" not in text
    assert len(text.encode()) < 300_000


def test_a_strangers_text_stays_text(tmp_path):
    suite, value = suites.walks(tmp_path / "suite", problems=3, question=HOSTILE, text=HOSTILE)
    run = suites.write_run(
        tmp_path / "runs/a", suite, {s: 1 - v for s, v in value.items()}, spec=HOSTILE, description=HOSTILE,
        params={HOSTILE: HOSTILE},
    )  # fmt: skip
    text = report(run, str(tmp_path / "suite"), tmp_path / "page.html").page.read_text("utf-8")
    assert text.count("<script") == 1
    assert "<img" not in text
    assert "<!--" not in text
    assert "{{ 7*7 }}" in text
    assert "⟨U+202E⟩" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def zeros(_rng, _value, k):
    return [0.0] * k


def graded(rng, value, k):
    return np.clip(value + rng.normal(0, 0.1, k), 0, 1).tolist()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"draw": zeros}, "Inside problems: no r2_within (the truth does not vary inside problems"),
        ({"k": 1}, "a single graded continuation: the truth's noise is unknown"),
        ({"problems": 1}, "one problem"),
        ({"draw": graded}, "truth, 95 % interval group mean"),
        ({"paths": False}, "no path states"),
    ],
    ids=["constant-truth", "one-draw", "one-problem", "graded-returns", "roots-alone"],
)
def test_a_poor_suite_gives_a_page_that_says_what_is_missing(made, says, tmp_path):
    suite, value = suites.walks(tmp_path / "suite", **made)
    run = suites.write_runs(tmp_path / "runs", suite, value)
    page = page_of(run, tmp_path / "suite", tmp_path / "page.html")
    assert says in page
    assert not re.search(r"\b(nan|None|inf)\b", page)


def test_predictions_out_of_range_are_counted_and_drawn_at_the_edge(tmp_path):
    suite, value = suites.walks(tmp_path / "suite")
    wild = {s: (-1) ** i * 1e30 if i % 3 else v for i, (s, v) in enumerate(value.items())}
    run = suites.write_run(tmp_path / "runs/wild", suite, wild)
    made = report(run, str(tmp_path / "suite"), tmp_path / "page.html")
    page = made.page.read_text("utf-8")
    path = suite.states.index[suite.states["kind"] == "path"]
    assert f"{sum(not 0 <= wild[s] <= 1 for s in path)} predictions outside 0 to 1" in page
    drawings = re.findall(r'<svg class="plane".*?</svg>', page)
    numbers = [float(x) for drawing in drawings for x in re.findall(r'(?:[xy12]|c[xy])="(-?[\d.]+)"', drawing)]
    assert len(drawings) == 3
    assert max(numbers) <= 400
    assert min(numbers) >= 0


def test_missing_predictions_and_alarms_are_told(copy, tmp_path):
    suite, value = suites.walks(tmp_path / "suite")
    some = {s: float("nan") if i % 5 == 0 else v for i, (s, v) in enumerate(value.items())}
    run = suites.write_run(tmp_path / "runs/gaps", suite, some, allow_missing=True)
    assert f"{sum(np.isnan(list(some.values())))}, counted as the training mean" in page_of(
        run, tmp_path / "suite", tmp_path / "page.html"
    )
    results = json.loads((copy / "runs/guess/results.json").read_text())
    results["alarms"] = [{"badge": "leak", "evidence": "the errors follow the halves"}]
    (copy / "runs/guess/results.json").write_text(json.dumps(results))
    made = report(copy / "runs/guess", str(copy / "suite"), tmp_path / "page.html")
    assert made.verdict[2] == "Alarm (leak): its figures mean nothing until that is explained."
    assert "the errors follow the halves" in made.page.read_text("utf-8")


def spoil_results(folder: Path) -> None:
    (folder / "runs/guess/results.json").unlink()


def spoil_predictions(folder: Path) -> None:
    (folder / "runs/guess/predictions.parquet").unlink()


def other_predictions(folder: Path) -> None:
    shutil.copy(folder / "runs/sharp/predictions.parquet", folder / "runs/guess/predictions.parquet")


def other_suite(folder: Path) -> None:
    shutil.rmtree(folder / "suite")
    suites.walks(folder / "suite", seed=1)


def no_suite(folder: Path) -> None:
    shutil.rmtree(folder / "suite")


@pytest.mark.parametrize(
    ("spoil", "path", "message"),
    [
        (spoil_results, "runs/guess", r"contains no results.json: `sveb score .*` makes the results"),
        (spoil_predictions, "runs/guess", r"contains no predictions.parquet: `sveb eval` writes both"),
        (other_predictions, "runs/guess", r"was not computed from .*parquet: expected sha256 [0-9a-f]{12}"),
        (
            other_suite,
            "runs/guess",
            r"was scored on another suite: walks 1.0.0 \(manifest [0-9a-f]{12}\), this",
        ),
        (no_suite, "runs/guess", r"no suite at"),
        (None, "runs/none", r"no run at .*none: give a run folder"),
        (None, "runs", r"contains no results.json and no predictions.parquet"),
        (None, "suite/states.parquet", r"states.parquet is not a run folder: expected a run folder"),
    ],
)
def test_a_path_that_is_not_a_run_of_this_suite_is_refused_with_the_fix(spoil, path, message, copy):
    if spoil is not None:
        spoil(copy)
    with pytest.raises(SvebError, match=message):
        report(copy / path, str(copy / "suite"))
    assert not list(copy.rglob("*.html"))


def test_a_suite_that_is_not_here_is_asked_for(work):
    with pytest.raises(SvebError, match="was scored on the suite 'walks', which is not here: give its folder"):
        report(work / "runs/guess")


def sveb(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-m", "sveb.cli", *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )


def test_the_command_prints_a_table_the_three_lines_and_where_the_page_is(copy):
    done = sveb("report", "runs/guess", "--suite", "suite", "--out", "page.html", folder=copy)
    assert done.returncode == 0, done.stderr
    made = report(copy / "runs/guess", str(copy / "suite"))
    assert done.stdout.splitlines()[-4:] == [*made.verdict, "report: page.html"]
    assert re.search(r"^sharp +│[ ─]+[●>] +(0\.9|1\.0)\d\d \[", done.stdout, re.MULTILINE)
    assert (copy / "page.html").read_bytes() == made.page.read_bytes()
    wrong = sveb("report", "runs/gess", folder=copy)
    assert (wrong.returncode, wrong.stderr) == (
        2, "error: no run at runs/gess: give a run folder that `sveb eval` wrote, or the results.json in one\n"
    )  # fmt: skip
