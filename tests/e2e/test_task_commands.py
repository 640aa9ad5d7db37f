"""`sveb tasks` as a user meets it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.conftest import Sveb


@pytest.mark.slow
def test_the_examples_work_when_pasted(sveb: Sveb, tmp_path: Path) -> None:
    lines = {
        line.strip()
        for command in (("tasks",), ("tasks", "check"))
        for line in sveb(*command, "--help", folder=tmp_path).stdout.splitlines()
        if re.match(r"\s+sveb \S", line)
    }
    assert len(lines) >= 4
    for line in lines:
        done = sveb(*shlex.split(line)[1:], folder=tmp_path)
        assert done.returncode == 0, (line, done.stderr)
        if "check" in line:
            right = re.search(r"(\d+) of (\d+) references score 1, (\d+) of (\d+) altered ones score 0", done.stdout)
            assert right is not None
            assert len(set(right.groups())) == 1


def test_rows_that_fail_are_listed_and_the_exit_code_is_1(sveb: Sveb, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("question,answer\n1+1?,2\n1+2?,unknown\n")
    done = sveb("tasks", "check", "gsm8k", "--data", "mine.csv", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("row 1: the task's own grader does not accept its answer 'unknown'")
    assert "gsm8k: 1 of 1 references score 1" in done.stdout


def test_an_error_that_the_user_can_fix_is_one_line(sveb: Sveb, tmp_path: Path) -> None:
    for arguments, message in (
        (("gsm9k",), "unknown task 'gsm9k': did you mean gsm8k"),
        (("general", "--sample"), "name one with --judge-url URL"),
    ):
        done = sveb("tasks", "check", *arguments, folder=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
