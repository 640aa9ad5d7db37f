"""`sveb check`: every fault is caught by its own check, and nothing sound is accused."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.harness.conformance.examination import CheckReport, check
from sveb.harness.conformance.verdicts import FIXES
from sveb.harness.conformance.views import tiny_suite
from tests.harness.reports import everywhere, keeps_the_contract, report_of
from tests.support.needs import require_bubblewrap

BROKEN = Path(__file__).parent / "broken"
UNCHECKED_WHEN_UNSTEADY = [
    "order of states", "order of problems", "other problems", "returns of others", "pickles",
]  # fmt: skip


@cache
def broken(name: str) -> CheckReport:
    """The report on one of the broken estimators."""
    return check(str(BROKEN / f"{name}.py"), {})


def found(report: CheckReport, name: str) -> str:
    return next(each.found for each in report.checks if each.name == name)


def outcomes(report: CheckReport, outcome: str) -> list[str]:
    return [each.name for each in report.checks if each.outcome == outcome]


# What it fails beside its own check follows from the same fault: whoever learns from earlier problems is shown other
# ones.
@pytest.mark.parametrize(
    ("name", "own", "beside"),
    [
        ("order_of_states", "order of states", set()),
        (
            "order_of_problems",
            "order of problems",
            {"same when asked again", "other problems", "returns of others"},
        ),
        ("peeks_at_the_batch", "other problems", set()),
        ("not_a_number", "finite", set()),
        ("wrong_shape", "right shape", set()),
        ("unseeded", "deterministic", {"same when asked again"}),
        ("unpicklable", "pickles", set()),
        ("changes_its_input", "inputs untouched", set()),
        ("returns_of_others", "returns of others", {"other problems"}),
        ("percent", "in [0, 1]", set()),
        ("constructor", "constructor", set()),
    ],
)
def test_a_broken_estimator_is_caught_by_its_own_check(name: str, own: str, beside: set[str]) -> None:
    report = broken(name)
    assert set(report.failed) == {own} | beside
    assert all(each.found and each.fix for each in report.checks if each.outcome == "failed")
    assert tuple(each.name for each in report.checks) == tuple(FIXES)


def test_a_file_written_outside_the_scratch_folder_is_named(tmp_path: Path) -> None:
    log = tmp_path / "seen.log"
    wrote = check(str(BROKEN / "writes_files.py"), {"log": str(log)})
    assert wrote.failed == ["files"]
    assert found(wrote, "files") == f"it wrote {log}"


def test_what_another_program_writes_beside_the_estimator_is_noticed(write_estimator) -> None:
    """Its process does not open the file itself, as a compiled library would not by Python's means."""
    source = (
        "import subprocess\ndef predict(problem):\n    subprocess.run(['touch', __file__[:-3] + '.bin'], check=True)\n"
        "    return [0.5] * len(problem.states)\n"
    )
    wrote = check(write_estimator(source), {})
    assert wrote.failed == ["files"]
    assert found(wrote, "files") == "mine.bin was written next to the estimator"


def test_the_scratch_folder_may_be_written_in(write_estimator) -> None:
    source = """
import tempfile
from pathlib import Path
from sveb import Estimator
class Mine(Estimator):
    def fit(self, train):
        (self.workplace.scratch / "model.bin").write_bytes(b"0")
    def predict(self, problem):
        Path("here").write_text("1")
        with tempfile.TemporaryFile() as stream:
            stream.write(b"2")
        return [0.5] * len(problem.states)
"""
    assert check(write_estimator(source), {}).failed == []


@everywhere
def test_every_built_in_keeps_the_contract(name: str) -> None:
    keeps_the_contract(report_of(name))


def test_a_failure_names_the_state_and_both_values() -> None:
    order = found(broken("order_of_states"), "order of states")
    assert re.fullmatch(
        r"0\.\d+ for ledger-test-\d+/\S+ \((path|sibling), step \d\), but 0\.\d+ with the states in reverse order; "
        r"\d+ of \d+ states differ",
        order,
    )


def test_where_values_never_repeat_comparisons_are_not_told_instead_of_failing() -> None:
    assert sorted(outcomes(broken("unseeded"), "unchecked")) == sorted(UNCHECKED_WHEN_UNSTEADY)


def test_an_error_in_one_order_only_is_that_orders_failure(write_estimator) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def predict_batch(self, problems):\n"
        "        assert problems[0].states[0].kind != 'root' or len(problems) > 2, 'where is the rest?'\n"
        "        return [[0.5] * len(problem.states) for problem in problems]\n"
    )
    few = check(write_estimator(source), {})
    assert few.failed == ["other problems"]
    assert "an error with every other problem left out" in found(few, "other problems")
    assert "AssertionError: where is the rest?" in found(few, "other problems")


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("__import__('os')._exit(3)", "ended with exit code 3"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_an_estimator_that_breaks_down_gets_a_report(write_estimator, predict: str, message: str) -> None:
    report = check(write_estimator(f"def predict(problem):\n    return {predict}\n"), {})
    assert report.failed == ["runs"]
    assert message in found(report, "runs")
    assert "finite" in outcomes(report, "unchecked")


def test_a_failing_fit_is_a_report_too(write_estimator) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def fit(self, train):\n        train[0].gruop\n"
        "    def predict(self, problem):\n        return [0.5] * len(problem.states)\n"
    )
    report = check(write_estimator(source), {})
    assert report.failed == ["runs"]
    assert (
        found(report, "runs")
        .splitlines()[0]
        .endswith("mine.py:4: AttributeError: 'Problem' object has no attribute 'gruop'")
    )


def test_seeded_randomness_is_no_fault(write_estimator) -> None:
    source = """
from sveb import Estimator
class Mine(Estimator):
    def fit(self, train):
        self.base_ = self.rng.random() / 2
    def predict(self, problem):
        return [self.base_ + problem.rng.random() / 2] * len(problem.states)
"""
    assert check(write_estimator(source), {}).failed == []


def test_what_is_kept_outside_of_the_estimator_is_not_in_its_copy(write_estimator) -> None:
    source = """
from sveb import Estimator
class Mine(Estimator):
    kept = None
    def fit(self, train):
        self.__dict__["mean_"] = train[0].group.returns.mean()
    def predict(self, problem):
        return [self.mean_] * len(problem.states)
    def __getstate__(self):
        return {}
    def __setstate__(self, state):
        self.mean_ = 0.0
"""
    lossy = check(write_estimator(source), {})
    assert lossy.failed == ["pickles"]
    assert "by an unpickled copy" in found(lossy, "pickles")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("self.k = int(k)", "__init__ does more with k than store it"),
        ("self.k = k or 3", None),
        ("self.k, self.table = k, {}", "__init__ sets self.table, which is not one of its arguments"),
        ("self.k = [k]", "__init__ stores [any object] where k was any object"),
    ],
)
def test_a_constructor_that_does_more_than_store_is_told_what(write_estimator, body: str, fault: str | None) -> None:
    source = (
        f"from sveb import Estimator\nclass Mine(Estimator):\n    def __init__(self, k: int = 3):\n        {body}\n"
        "    def predict(self, problem):\n        return [0.5] * len(problem.states)\n"
    )
    report = check(write_estimator(source), {})
    assert report.failed == (["constructor"] if fault else [])
    if fault is None:
        assert outcomes(report, "ok") == list(FIXES)
    else:
        assert fault in found(report, "constructor")


def test_fit_keeps_arguments_and_names_what_it_fitted(write_estimator) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def __init__(self, k: int = 3):\n        self.k = k\n"
        "    def fit(self, train):\n        self.k, self.mean = 4, 0.5\n"
        "    def predict(self, problem):\n        return [self.mean] * len(problem.states)\n"
    )
    report = check(write_estimator(source), {})
    assert report.failed == ["constructor"]
    assert "fit sets self.mean: call what is fitted self.mean_" in found(report, "constructor")
    assert "fit changes the argument k from 3 to 4" in found(report, "constructor")


def test_a_slight_overshoot_and_another_scale_get_different_advice(write_estimator) -> None:
    slight = check(write_estimator("def predict(problem):\n    return [1.05 for _ in problem.states]"), {})
    advice = [each.fix for report in (slight, broken("percent")) for each in report.checks if each.name == "in [0, 1]"]
    assert "np.clip" in advice[0]
    assert "percentage" in advice[1]


def test_a_submission_is_confined_and_its_writing_fails(tmp_path: Path) -> None:
    require_bubblewrap()
    folder = tmp_path / "submissions" / "mine"
    folder.mkdir(parents=True)
    file = shutil.copy(BROKEN / "writes_files.py", folder)
    assert check(str(shutil.copy(BROKEN / "percent.py", folder)), {}).failed == ["in [0, 1]"]
    confined = check(str(file), {})
    assert "runs" in confined.failed
    assert "Read-only file system" in found(confined, "runs")
    assert not list(folder.glob("*.log"))


def test_the_suite_holds_all_kinds_and_no_truth_and_is_the_same_each_time(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path / "one")
    again = tiny_suite(tmp_path / "two")
    files = sorted(path.name for path in suite.path.iterdir())
    assert files == ["draws.parquet", "manifest.json", "problems.parquet", "rollouts.parquet", "states.parquet"]
    assert all((suite.path / name).read_bytes() == (again.path / name).read_bytes() for name in files)
    assert suite.problems["split"].value_counts().to_dict() == {"train": 12, "test": 5}
    for _, states in suite.states.groupby("problem_id"):
        assert set(states["kind"]) == {"root", "path", "sibling"}
    assert (suite.table("draws").to_pandas().groupby("state_id").size() == 16).all()
    assert set(suite.table("rollouts")["role"].to_pylist()) == {"context", "train"}


def test_the_command_exits_1_and_shows_what_to_change() -> None:
    done = CliRunner().invoke(app, ["check", str(BROKEN / "percent.py")])
    assert done.exit_code == 1
    assert "-> A value is an expected return, from 0 to 1" in done.output
    assert "1 of 14 checks failed" in done.output


def test_the_command_exits_0_when_all_holds() -> None:
    done = CliRunner().invoke(app, ["check", "numca", "--set", "variant=official"])
    assert done.exit_code == 0
    assert "all 14 checks passed" in done.output
    assert "information budget: group" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["numka"], r"unknown estimator 'numka': did you mean numca\?"),
        (["absent.py"], "no file absent.py"),
        (["numca", "--set", "varant=official"], "did you mean variant"),
        (["numca", "--set", "variant"], "expected key=value"),
    ],
)
def test_what_cannot_be_loaded_is_a_users_error(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["check", *arguments])
    assert isinstance(done.exception, SvebError)
    assert re.search(message, str(done.exception))


def test_an_exception_with_a_novel_in_it_is_cut(write_estimator) -> None:
    report = check(write_estimator("def predict(problem):\n    raise ValueError('x' * 2_000_000)"), {})
    assert report.failed == ["runs"]
    assert len(found(report, "runs")) < 10_000
