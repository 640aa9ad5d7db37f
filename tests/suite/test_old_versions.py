"""What sveb 0.1.0 has written still opens, verifies, scores, reproduces and is shown; newer files are refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.entries.entry import read_entries
from sveb.entries.reproduce import find_entry, reproduce
from sveb.entries.validate import validate
from sveb.entries.verification_records import REPRODUCED, Records, read_records
from sveb.publication import build
from sveb.runs.predictions import Predictions
from sveb.runs.results import ONE_SEED, Results
from sveb.runs.run_folder import read_run
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.score import score
from sveb.suite import migrate
from sveb.suite.manifest import Manifest
from sveb.suite.migrate import Format
from sveb.suite.private_truth import Private
from sveb.suite.protocol import STANDARD
from sveb.suite.split import split
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

OLD = Path(__file__).parent.parent / "data" / "v0.1.0"
SUITE = OLD / "suites" / "tiny-0.1.0"
SUITE_2 = OLD / "suites" / "tiny-0.1.0-schema-2"
RUNS = OLD / "runs" / "tiny-0.1.0"
# As `sveb suite show` of 0.1.0 has printed it.
CHECKSUM = "c33a1bacb3a82145"
REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def suite() -> Suite:
    return Suite.open(SUITE)


def test_an_old_suite_opens_with_its_identity_and_is_whole(suite: Suite) -> None:
    assert json.loads((SUITE / "manifest.json").read_text())["schema_version"] == 1
    assert suite.checksum.startswith(CHECKSUM)
    assert suite.protocol is STANDARD
    assert suite.manifest.schema_version == migrate.MANIFEST.version
    assert suite.manifest.grader == "before versions"
    assert verify(suite) == []


@pytest.mark.parametrize(("folder", "version"), [(SUITE, 1), (SUITE_2, 2)])
def test_what_came_with_version_3_is_missing_in_older_suites(folder: Path, version: int, tmp_path: Path) -> None:
    suite = Suite.open(folder)
    assert json.loads((folder / "manifest.json").read_text())["schema_version"] == version
    assert verify(suite) == []
    assert suite.manifest.counts["audit"] == 0
    assert "audit" not in suite.tables
    assert suite.table("audit").num_rows == 0
    whole, some = suite.table("states"), suite.table("states", ["next_weight", "state_id"])
    assert whole.num_rows == whole["next_tokens"].null_count == whole["next_weight"].null_count
    assert some.column_names == ["next_weight", "state_id"]
    assert some["state_id"].equals(whole["state_id"])
    roots = suite.table("states", ["state_id", "next_tokens"], [("kind", "=", "root")])
    assert roots.num_rows == roots["next_tokens"].null_count == whole["kind"].to_pylist().count("root")

    made = split(suite, 0.5, tmp_path / "public", tmp_path / "secret")
    assert verify(Suite.open(made.public), Private.open(made.secret, Suite.open(made.public))) == []
    assert not (made.public / "audit.parquet").exists()
    assert (made.public / "states.parquet").read_bytes() == (folder / "states.parquet").read_bytes()


def test_an_old_manifest_is_written_back_with_its_identity(suite: Suite, tmp_path: Path) -> None:
    suite.manifest.write(tmp_path)
    assert Manifest.read(tmp_path).checksum == suite.checksum


# Intervals that are wider since version 2: of pairs, where few problems have untied predictions.
WIDER = ("order_", "adv_")


def assert_the_old_figures_are_the_new_ones(old: Results, new: Results) -> None:
    """Every figure that the old file has is what this sveb computes; what it lacks is missing, with the reason."""
    assert set(old.metrics) == set(new.metrics) == set(CATALOGUE)
    for name, figure in old.metrics.items():
        if math.isnan(figure.value):
            known = name.startswith("order_steps") or name in migrate.NEW_IN_RESULTS_2
            assert not known or "older sveb" in str(figure.note), name
            continue
        assert new.metrics[name].value == figure.value, name
        if not name.startswith(WIDER):
            assert new.metrics[name] == figure, name
    slices = [part for part in new.slices if part.by != "weight"]
    assert [replace(part, metrics={}) for part in old.slices] == [replace(part, metrics={}) for part in slices]
    for before, now in zip(old.slices, slices, strict=True):
        for name, figure in before.metrics.items():
            assert now.metrics[name].value == figure.value, (before.label, name)
            # Tied replicates stay tied now, so an end moves a little in a slice of eight problems.
            assert (now.metrics[name].low, now.metrics[name].high) == pytest.approx(
                (figure.low, figure.high), abs=1e-4, nan_ok=True
            )
    assert (old.counts["path_states"], old.alarms, old.perfect) == (new.counts["path_states"], new.alarms, {})


def test_old_predictions_are_of_one_seed_and_are_written_again_to_the_same_bytes(tmp_path: Path) -> None:
    path = RUNS / "shrunk_mean" / "predictions.parquet"
    old = Predictions.read(path)
    assert (old.seeds, len(old.by_seed)) == ([0], 1)
    old.write(tmp_path / "again.parquet")
    assert sha256(tmp_path / "again.parquet") == sha256(path)
    assert Results.read(path.with_name("results.json")).by_seed is None


@pytest.mark.parametrize("name", ["group_mean", "shrunk_mean"])
def test_old_predictions_score_to_the_same_figures(suite: Suite, name: str) -> None:
    run = read_run(RUNS / name)
    assert run.results.info == Predictions.read(run.predictions).info
    assert json.loads((RUNS / name / "results.json").read_text())["schema_version"] == 1
    assert_the_old_figures_are_the_new_ones(run.results, score(suite, run.predictions))


def test_what_old_results_lack_is_missing_with_the_reason_and_never_0(tmp_path: Path) -> None:
    old = Results.read(RUNS / "shrunk_mean" / "results.json")
    for name in (*migrate.NEW_IN_RESULTS_2, "order_steps", "order_steps_coverage"):
        assert math.isnan(old.metrics[name].value), name
        assert "older sveb" in str(old.metrics[name].note), name
    assert "return_ev" not in old.metrics
    old.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["schema_version"] == ONE_SEED == 2
    assert Results.read(tmp_path / "again.json").to_dict() == old.to_dict()


def test_an_old_entry_is_valid_verified_and_reproduces_to_the_same_predictions(tmp_path: Path) -> None:
    submissions = shutil.copytree(OLD / "submissions", tmp_path / "submissions")
    assert validate(submissions).errors == []
    (entry,) = read_entries(submissions)
    assert entry.tier == REPRODUCED
    (again,) = reproduce(find_entry(submissions, "shrunk_mean"), tmp_path / "runs", suite=str(SUITE))
    assert sha256(again.run.predictions) == sha256(next((entry.folder / "predictions").iterdir()))
    old = Results.read(next((entry.folder / "results").iterdir()))
    assert_the_old_figures_are_the_new_ones(old, Results.read(again.folder / "results.json"))


def test_an_old_entry_is_shown(tmp_path: Path) -> None:
    index = build(OLD / "submissions", tmp_path / "site", [SUITE.parent])
    assert "Shrunk mean" in index.read_text()
    assert (tmp_path / "site" / "explore" / "tiny-0.1.0@1.0.0.html").is_file(), "its suite is found by its checksum"


def test_a_committed_entry_scores_to_the_same_figures() -> None:
    entry = find_entry(REPOSITORY / "submissions", "group_mean")
    key = f"{Suite.open().name}@{Suite.open().manifest.version}"
    new = score(Suite.open(), entry.folder / "predictions" / f"{key}.parquet")
    assert entry.results[key].to_dict() == new.to_dict()


def test_what_is_made_of_an_old_suite_is_of_the_newest_version(suite: Suite, tmp_path: Path) -> None:
    made = split(suite, 0.4, tmp_path / "public", tmp_path / "secret")
    public = Suite.open(made.public)
    raw = json.loads((made.public / "manifest.json").read_text())
    assert raw["schema_version"] == migrate.MANIFEST.version
    assert raw["task"]["grader"] == {"name": None, "version": 0}
    assert public.checksum != suite.checksum
    assert verify(public) == []


def _newer(path: Path) -> None:
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"schema_version": 99}))


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("suites/tiny-0.1.0/manifest.json", lambda path: Manifest.read(path.parent)),
        ("runs/tiny-0.1.0/group_mean/results.json", Results.read),
        ("submissions/verified.json", lambda path: read_records(path.parent)),
    ],
)
def test_a_newer_file_is_refused_and_says_what_to_do(
    file: str, read: Callable[[Path], Manifest | Results | Records], tmp_path: Path
) -> None:
    copy = shutil.copytree(OLD, tmp_path / "copy")
    assert read(copy / file)
    _newer(copy / file)
    with pytest.raises(SvebError, match=r"version 99, this sveb reads versions up to .* made by a newer sveb"):
        read(copy / file)


def test_newer_metadata_of_an_entry_is_a_fault_of_that_entry(tmp_path: Path) -> None:
    submissions = shutil.copytree(OLD / "submissions", tmp_path / "submissions")
    path = next(submissions.glob("*_shrunk_mean")) / "metadata.toml"
    path.write_text("schema_version = 99\n" + path.read_text())
    (fault,) = [each for each in validate(submissions).errors if each.file.endswith("metadata.toml")]
    assert "made by a newer sveb" in fault.wrong


def _rename(raw: dict[str, Any]) -> dict[str, Any]:
    return {"title" if key == "name" else key: value for key, value in raw.items()}


def _add(raw: dict[str, Any]) -> dict[str, Any]:
    return raw | {"length": len(raw["title"])}


def test_migrations_run_one_after_the_other_from_the_files_own_version_and_change_nothing_in_place() -> None:
    made = Format("a note", (_rename, _add))
    assert made.version == 3
    raws = [
        {"schema_version": 1, "name": "four"},
        {"schema_version": 2, "title": "four"},
        {"schema_version": 3, "title": "four", "length": 4},
    ]
    before = json.dumps(raws)
    assert [made.current(raw, "x") for raw in raws] == [{"title": "four", "length": 4}] * 3
    assert json.dumps(raws) == before


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([1], "x is not a note: it has no schema_version"),
        ({}, "x is not a note: it has no schema_version"),
        ({"schema_version": "1"}, "expected a schema_version from 1 to 3, found '1'"),
        ({"schema_version": 0}, "expected a schema_version from 1 to 3, found '0'"),
        ({"schema_version": True}, "expected a schema_version from 1 to 3, found 'True'"),
        ({"schema_version": 1}, "not a note of schema version 1: a key is missing or has the wrong type .*'title'"),
        ({"schema_version": 4}, "schema version 4, this sveb reads versions up to 3: it was made by a newer sveb"),
    ],
)
def test_a_file_that_cannot_be_migrated_is_refused(raw: Any, message: str) -> None:
    with pytest.raises(SvebError, match=message):
        Format("a note", (_rename, _add)).current(raw, "x")


def test_files_without_a_version_are_of_the_first() -> None:
    assert Format("a note", (_rename,), unversioned=True).current({"name": "a"}, "x") == {"title": "a"}
