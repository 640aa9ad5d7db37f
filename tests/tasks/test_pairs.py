"""`sveb grade`: pairs in, returns and reasons out, in order; what is not a pair is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.tasks.pairs import grade_pairs, plain_task, read_pairs
from sveb.tasks.task import Task


def pairs(folder: Path, *rows: Any) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["grade", *map(str, arguments)])


def test_json_is_one_object_a_line_in_the_order_of_the_rows(tmp_path: Path) -> None:
    path = pairs(
        tmp_path,
        {"reference": r"\frac{1}{2}", "response": r"so \boxed{0.5}."},
        {"reference": "5", "response_answer": "9^{9^{9^9}}"},
        {"reference": "5", "response_answer": "6"},
        {"reference": "3 5", "response_answer": "5"},
        {"reference": 5, "response": "I do not know"},
        {"reference": "5", "response": r"\boxed{5}", "finish_reason": "length"},
    )
    result = run("--grader", "math", "--pairs", path, "--json")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["row"] for row in rows] == list(range(6))
    assert [row["return"] for row in rows] == [1.0, None, 0.0, None, 0.0, 0.0]
    assert "too large" in rows[1]["reason"]
    assert "the reference cannot be read" in rows[3]["reason"]
    assert rows[4]["reason"] == "no answer was found in the response"


def test_a_summary_compares_where_rows_say_their_return(tmp_path: Path) -> None:
    rows = [
        {"grader": "option", "reference": "B", "response_answer": "Option B", "return": 1},
        {"grader": "number", "reference": "18", "response_answer": "18 eggs", "return": 0},
        {"grader": "boolean", "reference": "perhaps", "response_answer": "no", "return": None},
    ]
    result = run("--pairs", pairs(tmp_path, *rows))
    assert result.exit_code == 0
    assert "2 of 3 returns as expected" in result.stdout
    assert "rows that differ" in result.stdout
    assert "missing" in result.stdout


def test_a_task_says_where_its_answers_stand(tmp_path: Path) -> None:
    path = pairs(
        tmp_path, {"reference": "5", "response": "2+3=5\n#### 5"}, {"reference": "5", "response": r"\boxed{5}"}
    )
    found = grade_pairs(read_pairs(path), Task.load("ledger"))
    assert [each.return_ for each in found] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "expected a JSON object, found no valid JSON"),
        ("[1]", "expected a JSON object, found list"),
        ({"response": "x"}, '"reference" is missing'),
        ({"reference": None, "response": "x"}, '"reference" is missing'),
        ({"reference": "x"}, 'either "response" or "response_answer", and neither is there'),
        ({"reference": "x", "response": "a", "response_answer": "b"}, "and both are there"),
        ({"reference": ["x"], "response": "a"}, '"reference" is a list: expected a text'),
        (
            {"reference": "x", "response": "a", "return": "1"},
            "\"return\" is '1': expected a number from 0 to 1, or null",
        ),
        ({"reference": "x", "response": "a", "return": 2}, '"return" is 2'),
        ('{"reference": NaN, "response": "a"}', '"reference" is nan: expected a text or a number'),
        ('{"reference": "1", "reference": "2", "response": "a"}', "the key 'reference' is there twice"),
        (
            {"reference": "x", "response": "a", "finish_reason": "eos"},
            "\"finish_reason\" is 'eos': expected stop or length",
        ),
    ],
)
def test_what_is_not_a_pair_is_refused_with_its_line(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(SvebError, match="line 2") as refused:
        read_pairs(pairs(tmp_path, {"reference": "5", "response": "5"}, row))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bad_names_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="cannot be read"):
        read_pairs(tmp_path / "none.jsonl")
    with pytest.raises(SvebError, match="contains no rows"):
        read_pairs(pairs(tmp_path, "", " "))
    with pytest.raises(SvebError, match="did you mean"):
        plain_task("numbr")
    with pytest.raises(SvebError, match="names no grader"):
        list(grade_pairs(read_pairs(pairs(tmp_path, {"reference": "5", "response": "5"})), None))


def test_an_empty_name_is_an_unknown_name(tmp_path: Path) -> None:
    path = pairs(tmp_path, {"reference": "5", "response": "5", "grader": "number"})
    for option in ("--task", "--grader"):
        assert "unknown" in str(run(option, "", "--pairs", path).exception)


def test_a_mark_of_byte_order_and_half_a_letter_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"reference": "5", "response_answer": "\\ud800"}\n', encoding="utf-8-sig")
    for grader in ("number", "math"):
        result = run("--grader", grader, "--pairs", path)
        assert result.exit_code == 0
        assert "?" in result.stdout


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no device that is always full")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_full_disk_is_one_line(tmp_path: Path, form: list[str]) -> None:
    path = pairs(tmp_path, *[{"reference": "5", "response_answer": "5"}] * 300)
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "sveb.cli", "grade", "--grader", "number", "--pairs", str(path), *form]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == ["error: the disk is full: free some space, then run the command again"]
