"""Estimators in the sandbox: when they are, what they see of their own files, and that it changes no number."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.harness.confined_worker import copy_estimator
from sveb.harness.run_estimator import resolve, run
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite

HONEST = """
from sveb import Estimator
from beside import scale
from package.inner import shift

class Honest(Estimator):
    "Takes part in everything that may be asked for."

    def fit(self, train):
        self.mean_ = np.mean([problem.group.returns.mean() for problem in train])

    def predict(self, problem):
        draws = self.policy.draws(problem.states, 4)
        noise = problem.rng.normal(size=len(problem.states))
        return self.mean_ + scale * np.nanmean(draws, axis=1) + shift * noise + len(set("abc")) + len(problem.answer)

import numpy as np
"""

WHERE = (
    "def predict(problem):\n    import sveb\n"
    "    return [float(sveb.__file__ == '/code/sveb/__init__.py')] * len(problem.states)\n"
)


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "mine"
    (folder / "package").mkdir(parents=True)
    (folder / "mine.py").write_text(HONEST)
    (folder / "beside.py").write_text("scale = 0.5\n")
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "inner.py").write_text("shift = 0.125\n")
    return folder / "mine.py"


@pytest.mark.usefixtures("bubblewrap")
def test_confinement_changes_no_value_and_no_account(suite: Suite, honest: Path, tmp_path: Path) -> None:
    found = [
        Predictions.read(run(suite, str(honest), {}, tmp_path / f"out-{sandbox}", seed=3, sandbox=sandbox))
        for sandbox in (True, False)
    ]
    np.testing.assert_array_equal(found[0].values, found[1].values)
    infos = [each.info for each in found]
    assert infos[0].estimator == infos[1].estimator
    assert infos[0].budget == infos[1].budget == ["train_returns", "extra_rollouts", "gold_answer"]
    assert infos[0].cost.tokens_sampled_per_state == infos[1].cost.tokens_sampled_per_state > 0
    assert infos[0].cost.peak_rss_bytes == pytest.approx(infos[1].cost.peak_rss_bytes, rel=0.3)


@pytest.mark.usefixtures("bubblewrap")
def test_hidden_states_come_through_the_broker(suite: Suite, tmp_path: Path) -> None:
    """The confined process has no weights."""
    path = tmp_path / "hidden.py"
    path.write_text(
        "from sveb import Estimator\nclass Hidden(Estimator):\n    def predict(self, problem):\n"
        "        return self.policy.hidden_states(problem.states)[:, 0]\n"
    )
    found = [
        Predictions.read(run(suite, str(path), {}, tmp_path / f"out-{sandbox}", sandbox=sandbox)).values
        for sandbox in (True, False)
    ]
    np.testing.assert_array_equal(found[0], found[1])


def confined(suite: Suite, path: Path, out: Path, **options: bool) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(WHERE)
    (value,) = set(Predictions.read(run(suite, str(path), {}, out, **options)).values)
    return bool(value)


@pytest.mark.usefixtures("bubblewrap")
def test_submissions_are_confined_by_default(suite: Suite, tmp_path: Path) -> None:
    entry = tmp_path / "submissions" / "2026-01-01_x" / "estimator.py"
    assert confined(suite, entry, tmp_path / "out")
    assert not confined(suite, entry, tmp_path / "out", sandbox=False)


@pytest.mark.usefixtures("bubblewrap")
def test_other_files_are_not_confined_by_default(suite: Suite, tmp_path: Path) -> None:
    assert not confined(suite, tmp_path / "mine.py", tmp_path / "out")
    assert confined(suite, tmp_path / "mine.py", tmp_path / "out", sandbox=True)


def test_a_link_to_or_from_a_submission_is_a_submission(tmp_path: Path) -> None:
    entry = tmp_path / "submissions" / "x" / "estimator.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(WHERE)
    (tmp_path / "mine.py").symlink_to(entry)
    (tmp_path / "other.py").write_text(WHERE)
    (entry.parent / "link.py").symlink_to(tmp_path / "other.py")
    assert resolve(str(tmp_path / "mine.py")).submitted
    assert resolve(str(entry.parent / "link.py")).submitted
    assert not resolve(str(tmp_path / "other.py")).submitted
    assert not resolve("numca").submitted


@pytest.mark.usefixtures("bubblewrap")
def test_a_built_in_runs_confined_on_request(suite: Suite, tmp_path: Path) -> None:
    found = [
        Predictions.read(run(suite, "numca", {}, tmp_path / f"out-{sandbox}", sandbox=sandbox)).values
        for sandbox in (True, None)
    ]
    np.testing.assert_array_equal(found[0], found[1])


def test_where_it_cannot_be_confined_it_does_not_run(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tmp_path / "submissions" / "x" / "estimator.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{WHERE}")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SvebError, match="needs bwrap, which is not on this machine"):
        run(suite, str(entry), {}, tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_an_estimators_own_python_files_are_copied_and_nothing_else(honest: Path, tmp_path: Path) -> None:
    folder = honest.parent
    (folder / "notes.txt").write_text("private")
    (folder / "data").mkdir()
    (folder / "data" / "secret.py").write_text("")
    (folder / "link.py").symlink_to(tmp_path)
    (folder / "package" / "link.py").symlink_to(tmp_path / "elsewhere.py")
    (tmp_path / "elsewhere.py").write_text("")
    honest.chmod(0o600)
    copy_estimator(honest, tmp_path / "copy")
    found = sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*"))
    assert found == ["beside.py", "mine.py", "package", "package/__init__.py", "package/inner.py"]
    assert (tmp_path / "copy" / "mine.py").stat().st_mode & 0o777 == 0o644


def test_a_linked_estimator_is_refused(honest: Path, tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to(honest)
    with pytest.raises(SvebError, match=r"link\.py is a link: the sandbox needs the file itself"):
        copy_estimator(tmp_path / "link.py", tmp_path / "copy")


def test_too_many_files_next_to_an_estimator_are_refused(honest: Path, tmp_path: Path) -> None:
    for number in range(1000):
        (honest.parent / f"m{number}.py").touch()
    with pytest.raises(SvebError, match="holds more than 1000 Python files"):
        copy_estimator(honest, tmp_path / "copy")


@pytest.mark.usefixtures("bubblewrap")
def test_the_command_line_shows_one_error_and_exits_2(suite: Suite, tmp_path: Path) -> None:
    entry = tmp_path / "submissions" / "x" / "estimator.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(f"def predict(problem):\n    open({str(suite.path / 'truth.parquet')!r})\n")
    command = [
        Path(sys.executable).with_name("sveb"),
        "eval",
        str(entry),
        "--suite",
        str(suite.path),
        "--runs",
        str(tmp_path),
    ]
    done = subprocess.run([*command, "--no-baselines"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "FileNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.rglob("predictions.parquet")) == []
