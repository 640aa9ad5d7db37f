"""The command line for its users: help that can be pasted, errors that can be fixed, exit codes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sveb.monitor import Monitor, to_jsonl
from tests.e2e.conftest import Sveb
from tests.support.suites import as_embedded

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "--size", "demo", "--engine", "transformers", "--test-problems", "4", "--train-problems", "3", "--group", "4",
    "--train-group", "2", "--probes", "2", "--path-states", "3", "--sibling-parents", "1", "--siblings", "3",
    "--continuations", "6", "--draws", "3",
]  # fmt: skip


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
        (("eval", "group_mean", "--seeds", "0"), "0 seeds: expected 1 or more"),
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
    sveb: Sveb, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = sveb(*arguments, folder=tmp_path)
    assert message in done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.rglob("results.json"))


def test_an_estimators_own_fault_is_shown_with_its_file_and_line(sveb: Sveb, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def predict(problem):\n    return [1 / 0] * len(problem.states)\n")
    done = sveb("eval", "mine.py", folder=tmp_path)
    assert done.returncode == 2
    assert "mine.py" in done.stderr
    assert "line 2" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "sveb/harness" not in done.stderr
    assert not list(tmp_path.rglob("results.json"))


def examples(sveb: Sveb, *command: str) -> list[str]:
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
def test_the_examples_in_the_help_work_when_pasted(
    sveb: Sveb, tiny_suite: Path, commands: list[str], made: str, tmp_path: Path
) -> None:
    suite = as_embedded(tiny_suite, tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "submissions").symlink_to(ROOT / "submissions")
    to_jsonl(tmp_path / "critic.jsonl")(Monitor(suite).score(1, lambda sequences: [0.5] * len(sequences)))
    for line in [line for command in commands for line in examples(sveb, *command.split())]:
        for part in line.replace("/tmp/", f"{tmp_path}/").split("&&"):
            words = [sorted(map(str, tmp_path.glob(word))) if "*" in word else [word] for word in shlex.split(part)[1:]]
            done = sveb(*(each for found in words for each in found), folder=tmp_path)
            assert done.returncode == 0, (part, done.stderr)
    assert (tmp_path / made).exists()


@pytest.mark.slow
def test_generate_then_eval_then_submit_then_page(sveb: Sveb, tmp_path: Path) -> None:
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


def test_listings(sveb: Sveb, tmp_path: Path) -> None:
    for command, word in (
        ("tasks", "ledger"),
        ("models", "qwen2.5-1.5b"),
        ("estimators", "numca"),
        ("doctor", "transformers, server"),
    ):
        done = sveb(command, folder=tmp_path)
        assert done.returncode == 0, done.stderr + done.stdout
        assert word in done.stdout


def test_the_module_is_the_command_line(tmp_path: Path) -> None:
    """Started as a user starts it, with all its imports."""
    for arguments, code, said in ((["--version"], 0, "sveb "), (["eval", "absent.py"], 2, "no file absent.py")):
        command = [sys.executable, "-m", "sveb.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == code
        assert said in done.stdout + done.stderr


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "pandas", "pyarrow", "vllm", "datasets", "transformers")
    code = f"import sveb.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
