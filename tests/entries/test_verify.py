"""`sveb verify`: an entry is worth what its code gives again, and no file of a contributor's can say otherwise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.entries.entry import read_entries
from sveb.entries.reproduce import find_entry
from sveb.entries.submit import make_entry
from sveb.entries.validate import validate
from sveb.entries.verification_records import FILE, HIDDEN_TRUTH, REPRODUCED, SELF_REPORTED, read_records
from sveb.entries.verify_entry import Verified, verify
from sveb.evaluation import evaluate
from sveb.runs.predictions import Predictions, RunInfo
from sveb.score.score import score
from sveb.suite.split import split
from sveb.suite.suite import Suite
from tests.support import synthetic
from tests.support.needs import require_bubblewrap

KEY = "ledger-nano@2.0.0"
HONEST = """
def predict(problem):
    "Group mean with seeded noise."
    return problem.group.returns.mean() + problem.rng.normal(0, 0.01, len(problem.states))
"""
UNSEEDED = """
import os

def predict(problem):
    "Group mean with noise from nowhere."
    noise = int.from_bytes(os.urandom(4), "little") / 2**32 * 0.01
    return [problem.group.returns.mean() + noise] * len(problem.states)
"""
SEES_THE_NET = """
import socket
import pathlib

def predict(problem):
    "Reads what a sandbox does not show."
    assert pathlib.Path("/etc/hostname").exists() and pathlib.Path("/proc/1/root/home").exists()
    assert len(socket.if_nameindex()) > 1, "no network"
    return [0.5] * len(problem.states)
"""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.open("ledger-nano")


def entered(work: Path, suite: Suite, code: str, name: str) -> Path:
    """The submissions folder with an entry of this code, run unconfined."""
    file = work / f"{name}.py"
    file.write_text(code, encoding="utf-8")
    run = evaluate(suite, str(file), {}, work / "runs", sandbox=False)
    make_entry(run.folder, work / "submissions", date=synthetic.DATE, name=name, team="A team")
    return work / "submissions"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, suite: Suite) -> Path:
    require_bubblewrap()
    return entered(tmp_path_factory.mktemp("verify"), suite, HONEST, "honest")


@pytest.fixture
def submissions(made: Path, tmp_path: Path) -> Path:
    """A copy, to be tampered with."""
    return Path(shutil.copytree(made, tmp_path / "submissions"))


def verified(submissions: Path, name: str = "honest", **more: float) -> Verified:
    (found,) = verify(find_entry(submissions, name), **more)  # type: ignore[arg-type]
    return found


def claim(submissions: Path, suite: Suite, change: Callable[[Predictions], Predictions]) -> None:
    """Other predictions and their true scores: an entry without a fault."""
    folder = submissions / f"{synthetic.DATE}_honest"
    path = folder / "predictions" / f"{KEY}.parquet"
    change(Predictions.read(path)).write(path)
    score(suite, path).write(folder / "results" / f"{KEY}.json")
    assert validate(folder).errors == []


def test_an_honest_entry_is_reproduced_to_the_last_bit_in_the_sandbox(submissions: Path) -> None:
    found = verified(submissions)
    assert (found.record.tier, found.record.reason) == (REPRODUCED, None)
    assert (found.record.largest_difference, found.record.confined) == (0.0, True)
    read_records(submissions).with_record("honest", KEY, found.record).write(submissions)
    (entry,) = read_entries(submissions)
    assert (entry.tier, entry.tier_on(KEY)) == (REPRODUCED, REPRODUCED)


def test_better_values_than_the_code_gives_are_found_out(submissions: Path, suite: Suite) -> None:
    claim(submissions, suite, lambda p: replace(p, values=np.clip(p.values + 0.05, 0, 1)))
    record = verified(submissions).record
    assert record.tier == SELF_REPORTED
    assert "values differ by up to 0.05" in str(record.reason)


def cheaper(info: RunInfo) -> RunInfo:
    return replace(info, budget=[], cost=replace(info.cost, tokens_read_per_state=-0.0, tokens_sampled_per_state=-0.0))


def test_information_that_was_used_and_not_named_is_found_out(submissions: Path, suite: Suite) -> None:
    claim(submissions, suite, lambda p: replace(p, info=cheaper(p.info)))
    assert "its account differs in the information asked for" in str(verified(submissions).record.reason)


def test_embellished_scores_are_found_out(submissions: Path) -> None:
    path = submissions / f"{synthetic.DATE}_honest" / "results" / f"{KEY}.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["metrics"]["mse"]["value"] = raw["metrics"]["mse"]["low"] * 1.01
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert validate(submissions).errors == []
    record = verified(submissions).record
    assert record.tier == SELF_REPORTED
    assert "scoring its predictions gives another metrics.mse.value" in str(record.reason)


def test_what_no_seed_decides_needs_a_stated_tolerance(made: Path, tmp_path: Path, suite: Suite) -> None:
    assert made.is_dir()
    submissions = entered(tmp_path, suite, UNSEEDED, "unseeded")
    record = verified(submissions, "unseeded").record
    assert record.tier == SELF_REPORTED
    assert "more than the tolerance 0" in str(record.reason)
    record = verified(submissions, "unseeded", tolerance=0.01).record
    assert (record.tier, record.tolerance) == (REPRODUCED, 0.01)
    assert 0 < float(record.largest_difference or 0) <= 0.01


def test_code_that_cannot_run_confined_stays_self_reported_with_the_reason(submissions: Path, suite: Suite) -> None:
    folder = submissions / f"{synthetic.DATE}_honest"
    (folder / "estimator.py").write_text(SEES_THE_NET, encoding="utf-8")
    digest = sha256(folder / "estimator.py")

    def other(p: Predictions) -> Predictions:
        return replace(p, info=replace(p.info, estimator=replace(p.info.estimator, code_sha256=digest)))

    claim(submissions, suite, other)
    record = verified(submissions).record
    assert (record.tier, record.largest_difference) == (SELF_REPORTED, None)
    assert str(record.reason).startswith("it did not run: ")


def test_a_record_of_other_files_gives_no_tier_and_is_warned_of(submissions: Path, suite: Suite) -> None:
    read_records(submissions).with_record("honest", KEY, verified(submissions).record).write(submissions)
    claim(submissions, suite, lambda p: replace(p, values=np.clip(p.values + 0.05, 0, 1)))
    (entry,) = read_entries(submissions)
    assert entry.tier == SELF_REPORTED
    (warning,) = validate(submissions).faults
    assert (warning.severity, warning.wrong) == (
        "warning",
        "its verification is about other files, so it is not valid any more",
    )


def test_a_helper_module_is_part_of_the_verified_code(submissions: Path) -> None:
    read_records(submissions).with_record("honest", KEY, verified(submissions).record).write(submissions)
    (submissions / f"{synthetic.DATE}_honest" / "numpy.py").write_text("", encoding="utf-8")
    (entry,) = read_entries(submissions)
    assert entry.tier == SELF_REPORTED


@pytest.mark.parametrize(
    "text",
    ["{}", "[", "[" * 100_000, "9" * 10_000, '{"schema_version": 1, "records": {"honest": {"x": {"tier": "gold"}}}}'],
)
def test_a_broken_record_is_an_error_and_no_tier(submissions: Path, text: str) -> None:
    (submissions / FILE).write_text(text, encoding="utf-8")
    (fault,) = validate(submissions).errors
    assert fault.file == FILE


def test_a_record_that_would_block_its_reader_is_refused(submissions: Path) -> None:
    os.mkfifo(submissions / FILE)
    with pytest.raises(SvebError, match="is not an ordinary file"):
        read_entries(submissions)


def test_an_entry_is_as_strong_as_its_weakest_suite(submissions: Path) -> None:
    (entry,) = read_entries(submissions)
    record = verified(submissions).record
    both = replace(
        entry,
        results=entry.results | {"other@1.0.0": entry.results[KEY]},
        records={KEY: replace(record, tier=HIDDEN_TRUTH), "other@1.0.0": record},
    )
    assert (both.tier_on(KEY), both.tier_on("other@1.0.0"), both.tier) == (HIDDEN_TRUTH, REPRODUCED, REPRODUCED)


def test_the_command_writes_the_record_and_exits_by_the_tier(submissions: Path, suite: Suite) -> None:
    command = [sys.executable, "-m", "sveb.cli", "verify", "honest", "--submissions", str(submissions), "--write"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"honest on {KEY}: reproduced" in done.stdout
    assert read_records(submissions).by_name["honest"][KEY].suite_sha256 == suite.checksum


def test_a_hidden_truth_gives_the_highest_tier_and_its_scores(made: Path, tmp_path: Path, suite: Suite) -> None:
    assert made.is_dir()
    split(suite, 0.3, tmp_path / "public", tmp_path / "secret")
    public = Suite.open(str(tmp_path / "public"))
    submissions = entered(tmp_path, public, HONEST, "honest")
    entry = find_entry(submissions, "honest")
    (found,) = verify(entry, suite=str(tmp_path / "public"), truth=tmp_path / "secret")
    assert (found.record.tier, found.record.reason, found.record.confined) == (HIDDEN_TRUTH, None, True)
    assert found.record.truth == public.manifest.private["commitment"]
    ((key, results),) = entry.results.items()
    assert found.record.hidden is not None
    assert found.record.hidden["mse"][0] != results.metrics["mse"].value
    read_records(submissions).with_record("honest", key, found.record).write(submissions)
    assert read_entries(submissions)[0].tier == HIDDEN_TRUTH
    with pytest.raises(SvebError, match="needs the sandbox"):
        verify(entry, suite=str(tmp_path / "public"), truth=tmp_path / "secret", unconfined=True)
