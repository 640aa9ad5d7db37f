"""The command line for its users: help that can be pasted, errors that can be fixed, exit codes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sveb.monitor import Monitor, to_jsonl
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from tests.support.needs import needs_root, small_disk

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "--size", "demo", "--engine", "transformers", "--test-problems", "4", "--train-problems", "3", "--group", "4",
    "--train-group", "2", "--probes", "2", "--path-states", "3", "--sibling-parents", "1", "--siblings", "3",
    "--continuations", "6", "--draws", "3",
]  # fmt: skip


def sveb(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sveb.cli", *arguments], capture_output=True, text=True, cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "--model", "nanno"), "unknown model 'nanno': did you mean nano"),
        (("generate", "--model", "nano", "--task", "leger"), "unknown task 'leger': did you mean ledger"),
        (("generate", "--model", "nano", "--size", "dmo"), "unknown size 'dmo': did you mean demo"),
        (("generate", "--model", "nano", "--engine", "vlm"), "unknown engine 'vlm': did you mean vllm"),
        (("generate", "--model", "nano", "--group", "0"), "group is 0: expected at least 1"),
        (("generate", "--model", "nano", "--task", "gsm8k", "--data", "no.jsonl"), "--data no.jsonl: no such file"),
        (("generate", "--model", "Some/Model"), "has no default task: name one with --task"),
        (("eval", "grup_mean"), "unknown estimator 'grup_mean': did you mean group_mean"),
        (("eval", "absent.py"), "no file absent.py"),
        (("eval", "numca", "--set", "varant=official"), "did you mean variant"),
        (("eval", "numca", "--set", "variant"), "--set variant: expected key=value"),
        (("eval", "group_mean", "--suite", "ledger-nanno"), "unknown suite 'ledger-nanno': did you mean ledger-nano"),
        (("eval", "group_mean", "--suite", "hf://datasets/nobody/nothing"), "could not fetch the dataset"),
        (("suite", "verify", "."), "contains no manifest.json"),
        (("leaderboard", "serve", "--folder", "."), "build the site first"),
        (("submit", "runs/nothing"), "does not exist"),
    ],
)
def test_a_users_mistake_is_named_with_what_to_do_and_exits_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = sveb(*arguments, folder=tmp_path)
    assert message in done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.rglob("results.json"))


def test_an_estimators_own_fault_is_shown_with_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def predict(problem):\n    return [1 / 0] * len(problem.states)\n")
    done = sveb("eval", "mine.py", folder=tmp_path)
    assert done.returncode == 2
    assert "mine.py" in done.stderr
    assert "line 2" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "sveb/harness" not in done.stderr
    assert not list(tmp_path.rglob("results.json"))


def examples(*command: str) -> list[str]:
    """The lines of a command's help that can be pasted."""
    done = sveb(*command, "--help", folder=ROOT)
    found = [line.strip() for line in done.stdout.splitlines() if re.match(r"\s+sveb \S", line)]
    assert found, f"sveb {' '.join(command)} shows no example"
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("commands", "made"),
    [
        (["eval", "submit", "leaderboard build"], "site/index.html"),
        (["score", "report", "compare"], "scores.json"),
        (["suite split", "suite push"], "runs/nano-public/numca/results-all.json"),
        (["check", "validate", "tasks check"], "examples"),
    ],
)
def test_the_examples_in_the_help_work_when_pasted(commands: list[str], made: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "submissions").symlink_to(ROOT / "submissions")
    to_jsonl(tmp_path / "critic.jsonl")(Monitor().score(1, lambda sequences: [0.5] * len(sequences)))
    for line in [line for command in commands for line in examples(*command.split())]:
        for part in line.replace("/tmp/", f"{tmp_path}/").split("&&"):
            words = [sorted(map(str, tmp_path.glob(word))) if "*" in word else [word] for word in shlex.split(part)[1:]]
            done = sveb(*(each for found in words for each in found), folder=tmp_path)
            assert done.returncode == 0, (part, done.stderr)
    assert (tmp_path / made).exists()


@pytest.mark.slow
def test_generate_then_eval_then_submit_then_page(tmp_path: Path) -> None:
    done = sveb("generate", "--model", "nano", *TINY, "--out", "suites/mine", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "path" in done.stdout
    assert sveb("suite", "verify", "mine", folder=tmp_path).returncode == 0
    assert "mine" in sveb("suite", "list", folder=tmp_path).stdout
    done = sveb("eval", str(ROOT / "examples" / "my_estimator.py"), "--suite", "mine", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"group_mean", "mc-k=1"} <= {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    done = sveb("submit", *(str(p) for p in (tmp_path / "runs" / "mine").iterdir()), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = sveb("leaderboard", "build", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "leaderboard" / "index.html").read_text()
    assert "group_mean" in page
    assert "my_estimator" in page


@pytest.mark.slow
def test_ctrl_c_says_how_to_continue_and_the_same_command_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sveb.cli", "generate", "--model", "nano", *TINY, "--out", "mine"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    while not (tmp_path / "mine" / "work" / "plan.json").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert f"to continue:\n  {shlex.join(command)}" in errors
    assert "Traceback" not in errors
    refused = sveb("eval", "group_mean", "--suite", "mine", folder=tmp_path)
    assert "its generation is not finished" in refused.stderr
    assert sveb(*command[3:], folder=tmp_path).returncode == 0
    assert verify(Suite.open(tmp_path / "mine")) == []


@pytest.mark.slow
@needs_root
def test_a_full_disk_is_said_so_and_with_more_room_the_same_command_continues(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "28k"):
        command = ["generate", "--model", "nano", *TINY, "--out", str(disk / "mine")]
        done = sveb(*command, folder=tmp_path)
        assert done.returncode == 2
        assert "no space left" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        done = sveb(*command, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert verify(Suite.open(disk / "mine")) == []


def test_listings_and_version(tmp_path: Path) -> None:
    for command, word in (
        ("tasks", "ledger"),
        ("models", "qwen2.5-1.5b"),
        ("estimators", "numca"),
        ("doctor", "transformers, server"),
    ):
        done = sveb(command, folder=tmp_path)
        assert done.returncode == 0, done.stderr + done.stdout
        assert word in done.stdout
    assert sveb("--version", folder=tmp_path).stdout.startswith("sveb ")


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "pandas", "pyarrow", "vllm", "datasets", "transformers")
    code = f"import sveb.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
