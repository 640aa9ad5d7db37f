"""Reading entries: every fault is found, all at once, and nothing that was tampered with gets through."""

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.entries.entry import read_entries
from sveb.entries.reproduce_command import command
from sveb.entries.submit import make_entry
from tests.support import synthetic

KEY = "ledger-nano@1.1.0"


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def refusal(submissions: Path) -> str:
    with pytest.raises(SvebError) as error:
        read_entries(submissions)
    return str(error.value)


def test_an_entry_made_from_a_run_reads_back(entry: Path) -> None:
    assert entry.name == "2026-01-31_numca"
    (read,) = read_entries(entry.parent)
    assert read.metadata.team == "A team"
    assert read.metadata.date == datetime.date(2026, 1, 31)
    assert list(read.results) == [KEY]
    assert read.results[KEY].metrics["mse"].value == pytest.approx(0.03)
    assert read.code is None


def test_a_second_suite_joins_the_entry_of_the_same_name(entry: Path, tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "older" / "numca", suite=synthetic.SUITES[1])
    assert make_entry(run, entry.parent, date=datetime.date(2027, 5, 5)) == entry
    (read,) = read_entries(entry.parent)
    assert list(read.results) == ["ledger-nano@1.0.0", KEY]
    assert sorted(path.name for path in entry.parent.iterdir()) == [entry.name]
    readme = (entry / "README.md").read_text(encoding="utf-8")
    assert readme.count("sveb eval numca --suite ledger-nano --seed 0") == 2


def test_a_new_run_on_the_same_suite_takes_the_old_ones_place(entry: Path, tmp_path: Path) -> None:
    make_entry(synthetic.write_run(tmp_path / "again" / "numca", mse=0.02), entry.parent, date=synthetic.DATE)
    (read,) = read_entries(entry.parent)
    assert read.results[KEY].metrics["mse"].value == pytest.approx(0.02)


def test_another_estimator_cannot_slip_into_an_entry_under_its_name(own_entry: Path, tmp_path: Path) -> None:
    other = synthetic.write_run(tmp_path / "other" / "mine", "mine", {"k": 9}, suite=synthetic.SUITES[1], code="pass\n")
    before = {path: path.read_bytes() for path in own_entry.rglob("*") if path.is_file()}
    with pytest.raises(SvebError, match=r"does not make a valid entry 'mine'[\s\S]*params"):
        make_entry(other, own_entry.parent, date=synthetic.DATE)
    assert {path: path.read_bytes() for path in own_entry.rglob("*") if path.is_file()} == before
    assert [path.name for path in own_entry.parent.iterdir()] == [own_entry.name]


def test_code_of_a_file_estimator_travels_and_the_command_names_its_class(own_entry: Path) -> None:
    (read,) = read_entries(own_entry.parent)
    assert read.code == synthetic.CODE
    assert (
        command(own_entry.name, read.metadata, read.results[KEY])
        == "sveb eval submissions/2026-01-31_mine/estimator.py:Mine --suite ledger-nano --seed 0 --set k=3"
    )


def test_parameters_that_are_none_are_left_out_of_toml(tmp_path: Path) -> None:
    params = {"checkpoint": None, "nested": {"a": None, "b": [1, 2]}, "flag": True, "text": "two words"}
    run = synthetic.write_run(tmp_path / "runs" / "critic", "critic", params)
    folder = make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    written = tomllib.loads((folder / "metadata.toml").read_text(encoding="utf-8"))
    assert written["estimator"]["params"] == {"nested": {"b": [1, 2]}, "flag": True, "text": "two words"}
    (read,) = read_entries(tmp_path / "submissions")
    line = command(folder.name, read.metadata, read.results[KEY])
    assert line.endswith("""--set 'nested={"b": [1, 2]}' --set flag=true --set 'text=two words'""")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('licence = "Apache-2.0"', "", "licence: is missing; add licence"),
        ('licence = "Apache-2.0"', 'license = "MIT"', "'license': is not a known key; did you mean 'licence'?"),
        ('name = "numca"', 'name = "../../etc"', "name: '../../etc' is not a name"),
        ('name = "numca"', 'name = "other"', "rename it to '2026-01-31_other'"),
        ("date = 2026-01-31", 'date = "soon"', "date: is 'soon', not a date"),
        ('disclosure = "unknown"', 'disclosure = "maybe"', "choose one of yes, no, unknown"),
        ('team = "A team"', "", "neither team nor authors is given"),
        ('team = "A team"', "authors = [3]", "authors[0]: is 3, not text"),
        ("links = []", 'links = ["javascript:alert(1)"]', "'javascript:alert(1)' is not a web address"),
        ("links = []", 'links = ["https://"]', "'https://' is not a web address"),
        ("links = []", 'links = ["data:text/html,x"]', "is not a web address"),
        ("links = []", 'links = "https://example.org"', "links: is 'https://example.org', not a list"),
        ('title = "numca"', 'title = "a\\u0000b"', "title: contains the control character U+0000"),
        ('title = "numca"', 'title = "  "', "title: is empty"),
        ('spec = "numca"', "", "estimator: has no spec"),
        ('title = "numca"', "title = ", "is not valid TOML"),
    ],
)
def test_a_fault_in_metadata_is_named_with_its_fix(entry: Path, old: str, new: str, expected: str) -> None:
    rewrite(entry / "metadata.toml", old, new)
    message = refusal(entry.parent)
    assert "2026-01-31_numca/metadata.toml" in message
    assert expected in message


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("metrics", "mse", "value"), "<b>0</b>", "is not a results file"),
        (("metrics", "mse", "value"), None, "metrics.mse: has no value and no note that says why"),
        (("metrics", "mse", "low"), 9.0, "upside down"),
        (("metrics", "my_metric"), {"value": 1, "low": 1, "high": 1, "note": None}, "my_metric: is not a known metric"),
        (("info", "suite", "name"), "../../../outside", "is not the name of a suite"),
        (("info", "suite", "version"), "1", "is not a version"),
        (("info", "suite", "policy"), 7, "info.suite.policy: is 7, not text"),
        (("info", "suite", "task"), "\ud800", "contains the control character U+D800"),
        (("info", "cost", "wall_s"), "<script>", "info.cost.wall_s: is '<script>', not a number >= 0"),
        (("info", "cost", "train_s"), -1, "not a number >= 0"),
        (("info", "budget"), ["telepathy"], "holds 'telepathy'; known items: group"),
        (("counts",), {"problems": "many"}, "counts: is not an object of numbers"),
        (("alarms",), [{"badge": "leak"}], "alarms: is not a list"),
        (("schema_version",), 99, "schema version 99, this sveb reads versions up to 3: it was made by a newer"),
        (("predictions_sha256",), "0" * 64, "is not that of predictions/ledger-nano@1.1.0.parquet"),
        (("info", "estimator", "seed"), 5, "info: differs from the one inside predictions/"),
        (("info", "estimator", "params"), {"kappa": 9}, "metadata.toml says {}"),
    ],
)
def test_a_fault_in_results_is_named(entry: Path, place: tuple[str, ...], value: object, expected: str) -> None:
    path = entry / "results" / f"{KEY}.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    target = raw
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    path.write_text(json.dumps(raw), encoding="utf-8")
    message = refusal(entry.parent)
    assert f"2026-01-31_numca/results/{KEY}.json" in message
    assert expected in message


def test_changed_predictions_are_found_out(entry: Path) -> None:
    path = entry / "predictions" / f"{KEY}.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    assert "score these predictions again" in refusal(entry.parent)


def test_missing_files_are_each_named(entry: Path, own_entry: Path) -> None:
    (entry / "predictions" / f"{KEY}.parquet").unlink()
    (own_entry / "estimator.py").unlink()
    message = refusal(entry.parent)
    assert message.startswith(f"entries in {entry.parent}: 2 faults")
    assert f"predictions/{KEY}.parquet is missing" in message
    assert "estimator.py is missing" in message


def test_changed_code_is_found_out(own_entry: Path) -> None:
    rewrite(own_entry / "estimator.py", "mean", "max")
    assert "is not that of estimator.py" in refusal(own_entry.parent)


def test_code_beside_a_built_in_is_refused(entry: Path) -> None:
    (entry / "estimator.py").write_text("pass\n", encoding="utf-8")
    assert "is a built-in, but the entry contains an estimator.py" in refusal(entry.parent)


def test_a_symbolic_link_cannot_carry_a_file_of_this_machine_onto_the_page(own_entry: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    (own_entry / "estimator.py").unlink()
    (own_entry / "estimator.py").symlink_to(secret)
    message = refusal(own_entry.parent)
    assert "estimator.py: is a symbolic link" in message
    assert "secret" not in message.replace(str(secret), "")


def test_two_entries_cannot_share_a_name(entry: Path) -> None:
    twin = entry.with_name("2026-02-01_numca")
    twin.mkdir()
    for path in sorted(entry.rglob("*")):
        if path.is_file():
            target = twin / path.relative_to(entry)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    rewrite(twin / "metadata.toml", "2026-01-31", "2026-02-01")
    assert "'numca' is taken by 2026-01-31_numca" in refusal(entry.parent)


def test_scores_on_two_builds_of_one_suite_version_are_not_compared(
    entry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = synthetic.SuiteRef
    monkeypatch.setattr(synthetic, "SuiteRef", lambda *args, **kw: real(*args, **{**kw, "checksum": "f" * 64}))
    make_entry(synthetic.write_run(tmp_path / "runs" / "other"), entry.parent, date=synthetic.DATE)
    assert "run both on the same suite" in refusal(entry.parent)


def test_a_missing_submissions_folder_is_no_empty_leaderboard(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="no folder of entries at"):
        read_entries(tmp_path / "submisions")


def test_a_run_without_its_predictions_makes_no_entry(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "numca")
    (run / "predictions.parquet").unlink()
    with pytest.raises(SvebError, match=r"contains no predictions\.parquet"):
        make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    assert list((tmp_path / "submissions").iterdir()) == []


def test_a_run_with_parameters_names_its_entry_after_them(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "mc-k=4", "mc", {"k": 4})
    folder = make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    assert folder.name == "2026-01-31_mc-k-4"
    (read,) = read_entries(tmp_path / "submissions")
    assert read.metadata.title == "mc-k=4"


def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "runs" / "numca")
    with pytest.raises(SvebError, match="is not a valid name of an entry"):
        make_entry(run, tmp_path / "submissions", date=synthetic.DATE, name="../up")
