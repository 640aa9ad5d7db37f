"""An entry of a run with three seeds: submitted, checked, run again with all seeds, and shown with each of them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sveb.common.files import sha256
from sveb.entries.entry import read_entries
from sveb.entries.reproduce import find_entry, reproduce
from sveb.entries.reproduce_command import command
from sveb.entries.submit import make_entry
from sveb.entries.validate import validate
from sveb.entries.verification_records import REPRODUCED, SELF_REPORTED
from sveb.entries.verify_entry import verify
from sveb.evaluation import evaluate
from sveb.publication import build, report
from sveb.runs.predictions import Predictions
from sveb.runs.results import Results
from sveb.score.score import score
from sveb.site.site_data import number
from sveb.suite.suite import Suite
from tests.support import synthetic
from tests.support.needs import require_bubblewrap
from tests.support.suites import tiny

CODE = """
import sveb

class Trained(sveb.Estimator):
    "A random level."
    def fit(self, train):
        self.level_ = self.rng.uniform(0.2, 0.8)

    def predict(self, problem):
        return [self.level_ + s.n_tokens / 100 for s in problem.states]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """suites/tiny, and on it runs and entries of `trained` (three seeds) and of group_mean."""
    work = tmp_path_factory.mktemp("seeds")
    suite = tiny(work / "suites" / "tiny", 4, 3)
    (work / "trained.py").write_text(CODE, encoding="utf-8")
    for spec, seeds in ((str(work / "trained.py"), 3), ("group_mean", 1)):
        run = evaluate(suite, spec, {}, work / "runs", seeds=seeds, sandbox=False)
        make_entry(run.folder, work / "submissions", date=synthetic.DATE, team="A team", title=run.name)
    return work


@pytest.fixture
def work(made: Path, tmp_path: Path) -> Path:
    """A copy, to be tampered with."""
    return Path(shutil.copytree(made, tmp_path / "work"))


def files(work: Path) -> tuple[Path, Path]:
    (entry,) = work.glob("submissions/*_trained")
    (predictions,), (results,) = entry.glob("predictions/*"), entry.glob("results/*")
    return predictions, results


def test_it_is_valid_and_says_how_it_was_made(work: Path) -> None:
    assert validate(work / "submissions").errors == []
    entry = {each.metadata.name: each for each in read_entries(work / "submissions")}["trained"]
    ((key, results),) = entry.results.items()
    assert results.n_seeds == 3
    assert " --seed 0 --seeds 3" in command(entry.folder.name, entry.metadata, results)
    assert "--seeds 3" in (entry.folder / "README.md").read_text(encoding="utf-8")
    assert key.startswith(Suite.open(str(work / "suites" / "tiny")).name)


def test_verify_runs_all_seeds_in_the_sandbox(work: Path) -> None:
    require_bubblewrap()
    entry = find_entry(work / "submissions", "trained")
    (found,) = verify(entry, suite=str(work / "suites" / "tiny"))
    assert (found.record.tier, found.record.reason) == (REPRODUCED, None)
    states = len(Suite.open(str(work / "suites" / "tiny")).states)
    assert f"0 of {3 * states} values differ" in " ".join(found.lines)


def test_a_better_third_seed_is_found_out(work: Path) -> None:
    predictions, results = files(work)
    told = Predictions.read(predictions)
    second, third = told.further
    replace(told, further=[second, np.clip(third + 0.05, 0, 1)]).write(predictions)
    score(Suite.open(str(work / "suites" / "tiny")), predictions).write(results)
    assert validate(work / "submissions").errors == []
    entry = find_entry(work / "submissions", "trained")
    (found,) = verify(entry, suite=str(work / "suites" / "tiny"), unconfined=True)
    assert found.record.tier == SELF_REPORTED
    assert "values differ by up to 0.05" in str(found.record.reason)


def test_it_is_reproduced_byte_for_byte(work: Path, tmp_path: Path) -> None:
    lines: list[str] = []

    def progress(name: str):
        lines.append(name)
        return lambda *_: None

    entry = find_entry(work / "submissions", "trained")
    (again,) = reproduce(
        entry, tmp_path / "out", suite=str(work / "suites" / "tiny"), unconfined=True, progress=progress
    )
    assert again.same
    assert [line.rpartition(", ")[2] for line in lines] == ["seed 0", "seed 1", "seed 2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": [0, 1, 3]}, "expected 2 to 100, from 0 upwards"),
        ({"seeds": list(range(101))}, "expected 2 to 100, from 0 upwards"),
        ({"seeds": [0, 1]}, "is not a known metric with a value of each seed"),
        ({"seeds": [0]}, "expected 2 to 100"),
        ({"values": {"mine": [1, 2, 3]}}, "is not a known metric with a value of each seed"),
        ({"seed_sd": {"mse": -1.0}}, "is not a known metric with a value of each seed"),
        ({"values": {"mse": ["high", 1, 2]}}, "is not a results file"),
        (None, "has 1 seeds, predictions/"),
    ],
)
def test_what_the_results_say_of_seeds_is_checked(work: Path, change: dict[str, object] | None, said: str) -> None:
    _, path = files(work)
    raw = json.loads(path.read_text(encoding="utf-8"))
    if change is None:
        del raw["by_seed"]
    else:
        raw["by_seed"] |= {
            key: raw["by_seed"][key] | value if isinstance(value, dict) else value for key, value in change.items()
        }
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert any(said in fault.wrong or said in fault.fix for fault in validate(work / "submissions").errors)


def test_the_pages_show_each_seed(work: Path, tmp_path: Path) -> None:
    site = build(work / "submissions", tmp_path / "site", [work / "suites"]).parent
    _, path = files(work)
    results = Results.read(path)
    assert results.by_seed is not None
    index = (site / "index.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', index, re.DOTALL)
    rows = {row["name"]: row for row in json.loads(data)["suites"][0]["rows"]}
    assert rows["trained"]["seeds"] == 3
    assert "seeds" not in rows["group_mean"]
    pages = [
        site / "entries" / "trained.html",
        report(work / "runs" / "tiny" / "trained", str(work / "suites" / "tiny"), tmp_path / "report.html").page,
    ]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "Each of the 3 seeds" in text
        for value in (*results.by_seed.values["mse"], results.by_seed.seed_sd["mse"]):
            assert number(value, 4) in text
    assert "Each of the" not in (site / "entries" / "group_mean.html").read_text(encoding="utf-8")
    (table,) = site.glob("data/*.csv")
    told = {row["name"]: row["seeds"] for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())}
    assert told == {"trained": "3", "group_mean": "1"}


def test_without_its_suite_the_page_still_shows_each_seed(work: Path, tmp_path: Path) -> None:
    site = build(work / "submissions", tmp_path / "site").parent
    assert "Each of the 3 seeds" in (site / "entries" / "trained.html").read_text(encoding="utf-8")


def test_the_files_are_one_for_each_suite(work: Path) -> None:
    predictions, results = files(work)
    assert Results.read(results).predictions_sha256 == sha256(predictions)
    assert len(Predictions.read(predictions).by_seed) == 3
