"""References score 1 and altered ones 0: on real data, on every task's own sample, and what is said where not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.suite.records import ProblemRecord
from sveb.tasks.goldens import Check, altered, check, response
from sveb.tasks.grading import Grading
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code, task_names

REAL = Path(__file__).resolve().parents[1] / "data"
# The judge's verdicts are tested next to a server of its own.
GRADED_HERE = [name for name in task_names() if name != "general"]


def silent(_done: int, _total: int) -> None:
    """No progress bar."""


def run(name: str, data: Path | None) -> Check:
    return check(Task.load(name), data, silent)


def test_the_real_questions_are_the_published_ones() -> None:
    listed = [line.split() for line in (REAL / "SHA256SUMS").read_text().splitlines()]
    assert {name: sha256(REAL / name) for _, name in listed} == {name: digest for digest, name in listed}
    assert {name for _, name in listed} == {
        str(path.relative_to(REAL)) for path in REAL.rglob("*.jsonl") if path.parent.name != "grading"
    }


@pytest.mark.parametrize(("name", "file", "count"), [("gsm8k", "test", 122), ("svamp", "svamp", 100)])
def test_every_real_reference_scores_1_and_every_altered_one_0(name: str, file: str, count: int) -> None:
    assert run(name, REAL / name / f"{file}.jsonl") == Check(problems=count, gold_right=count, altered_wrong=count)


@pytest.mark.parametrize("name", GRADED_HERE)
def test_every_sample_passes_its_own_task(name: str) -> None:
    task = Task.load(name)
    found = check(task, task.sample, silent)
    assert found.faults == []
    assert found.problems == found.gold_right == found.altered_wrong >= 4


@pytest.mark.parametrize("name", GRADED_HERE)
def test_a_truncated_or_empty_response_scores_0(name: str) -> None:
    task = Task.load(name)
    problem = load_problems(task, 0, 1, 0, task.sample).test[0]
    with Grading(task) as grading:
        assert grading.submit(problem, response(task, problem.answer), "length").result() == 0.0
        assert grading.submit(problem, "I cannot say.", "stop").result() == 0.0


@pytest.mark.parametrize(("rule", "expected"), [(0.25, [0.25, 0.25]), ("grade", [1.0, 0.0])])
def test_a_task_may_say_what_a_truncated_response_is_worth(rule: object, expected: list[float]) -> None:
    task = Task.load("gsm8k")
    task = replace(task, answer={**task.answer, "truncated": rule})
    problem = ProblemRecord("p", "?", "7")
    with Grading(task) as grading:
        texts = (r"\boxed{7} and on", r"so it is \boxed{7")
        assert [grading.submit(problem, text, "length").result() for text in texts] == expected


def test_failures_are_listed_by_row(tmp_path: Path) -> None:
    """A reference program that prints the wrong sum, one whose wrong answer passes, one row without an answer."""
    tests = [{"input": "1 2\n", "output": "3\n"}]
    tests_of_nothing = [{"input": "", "output": "no answer\n"}]
    rows = [
        {"question": "Add.", "answer": "print(4)", "tests": tests},
        {"question": "Greet.", "answer": "print('no answer')", "tests": tests_of_nothing},
        {"question": "Sum.", "answer": "print(sum(map(int, input().split())))", "tests": tests},
    ]
    path = tmp_path / "programs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = run("program", path)
    assert (found.problems, found.gold_right, found.altered_wrong) == (3, 2, 2)
    assert found.faults == [
        ("all", 0, "the reference scores 0 instead of 1"),
        ("all", 1, "an altered reference scores 1 instead of 0"),
    ]


def test_rows_that_cannot_be_used_are_faults_too(tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"question": "1?", "answer": "several"}\n{"question": "2?", "answer": "2"}\n{"question": "3?"}')
    found = run("gsm8k", path)
    assert (found.problems, found.gold_right) == (1, 1)
    assert [(row, fault.split(":")[0]) for _, row, fault in found.faults] == [
        (0, "the task's own grader does not accept its answer 'several'"),
        (2, "no answer"),
    ]


def test_what_cannot_be_graded_is_counted_by_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task's own code that fails must not pass for a wrong answer."""

    def broken(_problem: ProblemRecord, answer: str) -> float:
        if answer == "7*7":
            raise ArithmeticError("out of numbers")
        return 1.0 if answer == "2+3" else 0.0

    monkeypatch.setattr(load_code("countdown"), "grade", broken)
    path = tmp_path / "mine.jsonl"
    row = {"numbers": [2, 3], "target": 5}
    path.write_text("\n".join(json.dumps(row | {"question": q, "answer": "2+3"}) for q in "ab"))
    monkeypatch.setattr(load_code("countdown"), "altered", lambda problem: "7*7" if problem.question == "b" else "2")
    found = run("countdown", path)
    assert found.faults == [("all", 1, "an altered reference could not be graded")]
    assert found.ungraded == {"the grader raised ArithmeticError": 1}


def test_nothing_left_to_check_is_said(tmp_path: Path) -> None:
    task = Task.load("math")
    rows = [json.loads(line) for line in task.sample.read_text().splitlines()]
    path = tmp_path / "proofs.jsonl"
    path.write_text("\n".join(json.dumps(row | {"question_type": "proof"}) for row in rows))
    with pytest.raises(SvebError, match="there are no rows to check: 8 filtered"):
        run("math", path)


def test_progress_hears_of_every_problem() -> None:
    heard: list[tuple[int, int]] = []
    task = Task.load("svamp")
    check(task, task.sample, lambda done, total: heard.append((done, total)))
    assert heard == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("gsm8k", "1,234", "1235"), ("svamp", "2.5", "3.5"), ("bbh_logic", "(A)", "B"), ("bbh_logic", "(C)", "A"),
        ("strategyqa", "yes", "no"), ("strategyqa", "no", "yes"), ("countdown", "(1+2)*3", "(1+2)*3+1"),
    ],
)  # fmt: skip
def test_an_altered_answer_is_another_answer_of_the_same_kind(name: str, answer: str, expected: str) -> None:
    assert altered(Task.load(name), ProblemRecord("p", "?", answer)) == expected
