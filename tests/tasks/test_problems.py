"""Problems from files: the upstreams' own schemas, and every faulty row named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.tasks.problems import data_file, load_problems
from sveb.tasks.task import Task
from sveb.tasks.task_folders import task_names


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


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
        ([{"question": "1?", "solution": "1"}], "expected the columns question, answer; found question, solution"),
        (
            [{"question": "1?", "answer": "several"}],
            "row 0: the task's own grader does not accept its answer 'several'",
        ),
        ([{"question": "  ", "answer": "1"}], "row 0: no question"),
        ([{"id": "a", "question": "1?", "answer": "1"}] * 2, "row 1: id 'a' is also in row 0"),
        ([{"question": "1?", "answer": "1"}], "contains 1 problems; 2 were asked for: give other data"),
        ([{"question": "1?", "answer": a} for a in "ab1"], "row 0: .* 'a': .*; row 1: "),
        ([{"question": "1?", "answer": "x"}] * 12, "row 9: .*; and 2 more"),
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
    (tmp_path / "head.csv").write_text("question,answer\n")
    (tmp_path / "noise.parquet").write_bytes(bytes(range(256)))
    for name, message in (
        ("absent.jsonl", "no such file"),
        ("empty.jsonl", "the file is empty"),
        ("broken.jsonl", "cannot be read as json"),
        ("data.xlsx", "expected a file ending in"),
        ("head.csv", "head.csv contains no rows"),
        ("noise.parquet", "cannot be read as parquet"),
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


def test_all_samples_load_in_their_upstreams_schemas() -> None:
    for name in task_names():
        task = Task.load(name)
        if task.source["kind"] == "hub":
            found = load_problems(task, 1, 2, 0, task.sample)
            assert found.dataset["kind"] == "sample"
            assert all(p.question and p.answer for p in [*found.train, *found.test])


def test_nested_columns_patterns_and_filters_of_number() -> None:
    """The upstream's prompt is a list of messages with instructions around the problem, and its rows repeat."""
    found = load_problems(task := Task.load("number"), 2, 6, 0, task.sample)
    problems = {p.problem_id: p for p in [*found.train, *found.test]}
    assert problems["sveb-0006"].question == (
        "What is the sum of all positive divisors of $360$ that are multiples of $4$, not of $9$, and below $100$?"
    )
    assert problems["sveb-0006"].answer == "168"
    assert found.dataset["left_out"] == {"filtered": 1, "repeated": 1}


def test_the_reference_of_science_is_the_letter_in_the_last_box() -> None:
    found = load_problems(task := Task.load("science"), 0, 6, 0, task.sample)
    assert {p.problem_id: p.answer for p in found.test} == {
        "science-0": "C", "science-1": "C", "science-2": "C", "science-3": "B", "science-4": "A", "science-5": "D",
    }  # fmt: skip
    assert found.dataset["left_out"] == {"filtered": 1}


def test_a_program_carries_its_tests_and_bare_code() -> None:
    found = load_problems(task := Task.load("program"), 0, 6, 0, task.sample)
    problem = next(p for p in found.test if p.problem_id == "vcp_sveb_0")
    assert problem.answer == "a, b = map(int, input().split())\nprint(a + b)"
    assert problem.extras["tests"][0]["input"] == "1 2\n"
    assert problem.tier == "EASY"


def test_a_column_that_holds_json_is_looked_into(tmp_path: Path) -> None:
    """As the upstream of program's upstream has it."""
    task = Task.load("program")
    rows = [json.loads(line) for line in task.sample.read_text().splitlines()]
    for row in rows:
        row["verification_info"] = json.dumps(row["verification_info"])
    found = load_problems(task, 0, 6, 0, write(tmp_path / "data.jsonl", rows))
    assert len(found.test) == 6
    assert all(p.extras["tests"] for p in found.test)


def test_plain_columns_do_for_every_task(tmp_path: Path) -> None:
    plain: list[dict[str, object]] = [{"question": "Which?", "answer": "(B)"}, {"question": "Who?", "answer": "A"}]
    found = load_problems(Task.load("science"), 1, 1, 0, write(tmp_path / "plain.jsonl", plain))
    assert sorted(p.answer for p in [*found.train, *found.test]) == ["(B)", "A"]


def test_csv_and_parquet_hold_the_same_problems(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"ID": ["a", "b"], "question_concat": ["1?", "2?"], "Answer": [1.0, 2.5], "Type": ["x", "y"]})
    frame.to_csv(tmp_path / "data.csv", index=False)
    frame.to_parquet(tmp_path / "data.parquet")
    task = Task.load("svamp")
    one, two = (load_problems(task, 1, 1, 0, tmp_path / name) for name in ("data.csv", "data.parquet"))
    assert (one.train, one.test) == (two.train, two.test)
    assert sorted(p.answer for p in [*one.train, *one.test]) == ["1", "2.5"]


def test_rows_that_cannot_be_used_are_left_out_where_the_task_says_so(tmp_path: Path) -> None:
    task = Task.load("math")
    row = {"uuid": "a", "problem": "1?", "answer": "1", "question_type": "math-word-problem"}
    rows = [
        row, row | {"uuid": "b"}, row | {"problem": "2?"}, row | {"uuid": "c", "problem": "3?", "answer": ""},
        row | {"uuid": "d", "problem": "4?", "answer": None}, row | {"uuid": "e", "problem": "5?"},
    ]  # fmt: skip
    found = load_problems(task, 0, 2, 0, write(tmp_path / "data.jsonl", [*rows]), spare=True)
    assert sorted(p.problem_id for p in found.test) == ["a", "e"]
    assert found.dataset["left_out"] == {"repeated": 2, "unusable": 2}
    with pytest.raises(
        SvebError, match=r"contains 2 problems \(2 repeated, 2 unusable\), unusable for example row .*no answer"
    ):
        load_problems(task, 1, 2, 0, tmp_path / "data.jsonl")


def test_too_few_rows_say_which_counts_would_fit() -> None:
    task = Task.load("svamp")
    with pytest.raises(
        SvebError, match="contains 6 problems; 100 were asked for: use --test-problems 2 --train-problems 4"
    ):
        load_problems(task, 60, 40, 0, task.sample)
    load_problems(task, 4, 2, 0, task.sample)


def test_sample_and_data_together_are_refused() -> None:
    with pytest.raises(SvebError, match="give only one of them"):
        data_file(Task.load("svamp"), Path("x.jsonl"), True)


def test_spare_candidates_follow_the_test_problems_and_share_none_with_training() -> None:
    task = Task.load("math500")
    plain = load_problems(task, 2, 1, 0, task.sample)
    spare = load_problems(task, 2, 1, 0, task.sample, spare=True)
    assert (spare.train, spare.test[:1]) == (plain.train, plain.test)
    assert len(spare.test) == 6
    assert {p.problem_id for p in spare.test}.isdisjoint(p.problem_id for p in spare.train)


def test_a_worked_example_is_never_a_problem(tmp_path: Path) -> None:
    task = Task.load("strategyqa")
    rows: list[dict[str, object]] = [
        {"question": f" {example['question']}", "answer": "no"} for example in task.examples
    ]
    found = load_problems(task, 0, 1, 0, write(tmp_path / "data.jsonl", [*rows, {"question": "New?", "answer": "yes"}]))
    assert [p.question for p in found.test] == ["New?"]
    assert found.dataset["left_out"] == {"example": len(task.examples)}
    messages = task.messages(found.test[0])
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * len(task.examples), "user"]
    assert messages[-1]["content"] == "New?"


def test_every_worked_example_shows_the_answers_form() -> None:
    tasks = [Task.load(name) for name in task_names()]
    marked = [task for task in tasks if "marker" in task.answer]
    examples = [(task, example["response"]) for task in marked for example in task.examples]
    assert examples
    assert all(task.answered(response) for task, response in examples)
