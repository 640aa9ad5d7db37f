"""`sveb submit`: entries from runs, by flags or by questions, and nothing half-written."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.entries.entry import read_entries
from sveb.entries.submit import make_entry, runs_of
from sveb.entries.validate import validate
from tests.support import synthetic

CODE = "def predict(problem):\n    return [problem.group.returns.mean()] * len(problem.states)\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """mine.py, and a run of it on two suites."""
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    for suite in synthetic.SUITES:
        synthetic.write_run(
            tmp_path / "runs" / "@".join(suite) / "mine", "mine", suite=suite, code=CODE, spec="mine.py"
        )
    return tmp_path


def sveb(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sveb.cli", "submit", *arguments]
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


class Terminal:
    """`sveb submit` at a terminal."""

    def __init__(self, work: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sveb.cli", "submit", *arguments],
            cwd=work, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=os.environ | {"HOME": str(work), "TERM": "dumb"},
            # A job in the background ignores Ctrl-C, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(theirs)
        self.ours, self.shown = ours, ""

    def until(self, text: str) -> None:
        """Reads until `text` is shown after what was read before. A process that ends first is an error of the read."""
        start = len(self.shown)
        while text not in self.shown[start:]:
            self.shown += os.read(self.ours, 4096).decode()

    def answer(self, question: str, text: str = "") -> None:
        self.until(question)
        os.write(self.ours, f"{text}\n".encode())


def test_a_file_is_one_entry_of_all_suites_it_was_run_on(work: Path) -> None:
    done = sveb(work, "mine.py", "--name", "ours", "--author", "A. Person", "--author", "B. Person")
    assert done.returncode == 0, done.stderr
    (entry,) = read_entries(work / "submissions")
    assert (entry.metadata.name, entry.metadata.authors) == ("ours", ["A. Person", "B. Person"])
    assert entry.metadata.suites == sorted("@".join(suite) for suite in synthetic.SUITES)
    assert entry.code == CODE


def test_what_is_not_given_is_asked_for_at_a_terminal(work: Path) -> None:
    terminal = Terminal(work, "mine.py", "--licence", "MIT")
    terminal.answer("Name of the entry [mine]", "asked")
    terminal.answer("Title [mine]", "What was asked")
    terminal.answer("Team [", "A team")
    terminal.answer("Method")
    terminal.answer("training data disclosed", "perhaps")
    terminal.answer("training data disclosed", "no")
    terminal.answer("Hardware", "1 core")
    terminal.answer("Link", "https://example.org/paper")
    terminal.until("next:")
    assert terminal.process.wait() == 0
    metadata = read_entries(work / "submissions")[0].metadata
    assert (metadata.name, metadata.title, metadata.team, metadata.licence) == (
        "asked",
        "What was asked",
        "A team",
        "MIT",
    )
    assert (metadata.training_data_disclosure, metadata.hardware) == ("no", "1 core")
    assert metadata.links == ["https://example.org/paper"]
    again = Terminal(work, "mine.py", "--name", "next", "--title", "x", "--method", "x")
    again.answer("Team [A team]")
    again.until("Licence [MIT]")
    while again.process.poll() is None:  # Python may miss one that comes just before it waits for the line
        os.killpg(again.process.pid, signal.SIGINT)
        time.sleep(0.1)
    assert again.process.returncode != 0
    assert [path.name.partition("_")[2] for path in (work / "submissions").iterdir()] == ["asked"]


def test_code_that_was_changed_since_its_run_is_not_submitted(work: Path) -> None:
    (work / "mine.py").write_text(CODE + "# changed\n", encoding="utf-8")
    done = sveb(work, "mine.py")
    assert done.returncode == 2
    assert "no run of the current version of mine.py in runs: run `sveb eval mine.py` first" in done.stderr
    assert not (work / "submissions").exists()


def test_several_runs_on_one_suite_are_not_guessed_between(work: Path) -> None:
    synthetic.write_run(work / "runs" / "other" / "mine", "mine", code=CODE, spec="mine.py")
    with pytest.raises(SvebError, match=r"has several runs on ledger-nano@1\.1\.0: give the one to submit: "):
        runs_of(str(work / "mine.py"), work / "runs")


def test_modules_and_requirements_come_along(work: Path) -> None:
    package = work / "helpers"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (work / "needs.txt").write_text("numpy>=1.26\n", encoding="utf-8")
    (run, _) = runs_of(str(work / "mine.py"), work / "runs")
    entry = make_entry(
        run, work / "submissions", date=synthetic.DATE, requirements=work / "needs.txt", include=[package]
    )
    assert (entry / "helpers" / "__init__.py").is_file()
    assert (entry / "requirements.txt").read_text(encoding="utf-8") == "numpy>=1.26\n"
    assert validate(entry).faults == []
    with pytest.raises(SvebError, match="expected a package's folder"):
        make_entry(run, work / "submissions", date=synthetic.DATE, include=[work / "runs"])


def test_a_stop_while_it_is_put_in_place_leaves_the_earlier_entry(
    entry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in entry.rglob("*") if path.is_file()}
    rename = Path.rename

    def stopped(self: Path, target: Path) -> Path:
        if self.parent.name.endswith(".tmp"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stopped)
    run = synthetic.write_run(tmp_path / "again" / "numca", mse=0.02)
    with pytest.raises(KeyboardInterrupt):
        make_entry(run, entry.parent, date=synthetic.DATE)
    assert {path: path.read_bytes() for path in entry.rglob("*") if path.is_file()} == before
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_an_only_run_made_anew_brings_its_parameters(tmp_path: Path) -> None:
    for params, mse in (({"k": 4}, 0.02), ({"k": 4, "source": "draws"}, 0.03)):
        run = synthetic.write_run(tmp_path / str(mse) / "mc-k=4", "mc", params, mse=mse)
        make_entry(run, tmp_path / "submissions", date=synthetic.DATE)
    (entry,) = read_entries(tmp_path / "submissions")
    assert entry.metadata.params == {"k": 4, "source": "draws"}
