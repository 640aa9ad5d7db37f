"""Problems from files: real questions through the real loader, and every faulty row named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sveb.core.errors import SvebError
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k_test.jsonl"


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.skipif(not REAL.exists(), reason=f"no real questions at {REAL}")
def test_every_real_gsm8k_reference_is_accepted_and_every_altered_one_refused() -> None:
    task = Task.load("gsm8k")
    found = load_problems(task, 319, 1000, seed=0, data=REAL)
    problems = [*found.train, *found.test]
    assert len({p.problem_id for p in problems}) == 1319
    for problem in problems:
        assert task.grade(problem, f"So the answer is \\boxed{{{problem.answer}}}.", "stop") == 1.0
        assert task.grade(problem, f"So the answer is \\boxed{{{problem.answer}1}}.", "stop") == 0.0
        assert task.grade(problem, f"\\boxed{{{problem.answer}}} and on and", "length") == 0.0


def test_the_repository_sample_loads_in_the_upstream_schema() -> None:
    task = Task.load("gsm8k")
    found = load_problems(task, 1, 3, seed=0, data=task.folder / "sample.jsonl")
    assert sorted(p.answer for p in [*found.train, *found.test]) == ["10", "29", "37", "41"]


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": f"q{i}", "question": f"{i}?", "answer": str(i)} for i in range(50)]
    task = Task.load("gsm8k")
    one = load_problems(task, 5, 5, 1, write(tmp_path / "a.jsonl", rows))
    two = load_problems(task, 5, 5, 1, write(tmp_path / "b.jsonl", rows[::-1]))
    other = load_problems(task, 5, 5, 2, tmp_path / "a.jsonl")
    assert one.test == two.test
    assert one.train == two.train
    assert {p.problem_id for p in one.test}.isdisjoint(p.problem_id for p in one.train)
    assert one.test != other.test


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "1?", "solution": "1"}], "expected the columns question, answer .*found question, solution"),
        ([{"question": "1?", "answer": "one"}], "row 0: the task's own grader does not accept its answer 'one'"),
        ([{"question": "  ", "answer": "1"}], "row 0: no question"),
        ([{"id": "a", "question": "1?", "answer": "1"}] * 2, "id 'a' stands more than once"),
        ([{"question": "1?", "answer": "1"}], "holds 1 problems; 2 were asked for"),
    ],
)
def test_a_faulty_file_is_refused_with_its_rows(tmp_path: Path, rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(SvebError, match=message):
        load_problems(Task.load("gsm8k"), 1, 1, 0, write(tmp_path / "data.jsonl", rows))


def test_missing_empty_broken_and_foreign_files(tmp_path: Path) -> None:
    task = Task.load("gsm8k")
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "broken.jsonl").write_text('{"question": "1?", "answer"')
    (tmp_path / "data.xlsx").write_text("x")
    for name, message in (
        ("absent.jsonl", "no such file"),
        ("empty.jsonl", "the file is empty"),
        ("broken.jsonl", "cannot be read as json"),
        ("data.xlsx", "expected a file ending in"),
    ):
        with pytest.raises(SvebError, match=message):
            load_problems(task, 1, 1, 0, tmp_path / name)


def test_without_a_hub_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SvebError, match=r"could not load 'openai/gsm8k' .* --data FILE"):
        load_problems(Task.load("gsm8k"), 1, 1, 0)


def test_a_misspelt_task_gets_the_closest() -> None:
    with pytest.raises(SvebError, match="did you mean gsm8k"):
        Task.load("gsm8")
