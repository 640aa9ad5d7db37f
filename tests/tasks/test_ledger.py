"""The generated task: splits that cannot meet, problems that depend on their index alone, answers that are right."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.tasks.grading import Grading
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code, task_folder

ledger: Any = load_code("ledger")

SPLITS = st.sampled_from(("train", "test", "pretrain"))
SEEDS = st.integers(0, 2**63)


def answer_by_reading(question: str) -> int:
    """The answer from the words of the story alone."""
    story, ask = re.fullmatch(r"(.*?\.)( How many .*| Trays hold .*)", question).groups()  # type: ignore[union-attr]
    total = 0
    for sentence in story.split(". "):
        sign = 1 if " has " in sentence else -1
        for phrase in re.split(r", | and ", sentence):
            numbers = [int(number) for number in re.findall(r"\d+", phrase)]
            assert len(numbers) == (2 if " of " in phrase else 1)
            total += sign * (numbers[0] * numbers[1] if " of " in phrase else numbers[0])
    tray = re.search(r"Trays hold (\d+)\. How many full trays\?", ask)
    return total // int(tray[1]) if tray else total


@given(split=SPLITS, seed=SEEDS, i=st.integers(0, 10**6))
@settings(max_examples=300)
def test_the_answer_follows_from_the_words_of_the_question(split: str, seed: int, i: int) -> None:
    problem = ledger.problem(split, i, seed)
    assert problem.answer == str(answer_by_reading(problem.question))
    assert int(problem.answer) >= 1


@given(split=SPLITS, seed=SEEDS, i=st.integers(0, 10**6))
@settings(max_examples=300)
def test_a_problem_belongs_to_the_split_that_its_numbers_name(split: str, seed: int, i: int) -> None:
    extras = ledger.problem(split, i, seed).extras
    terms = [tuple(term) for term in json.loads(json.dumps(extras))["terms"]]
    assert ledger.split_of(terms, extras["tray"]) == split
    assert ledger.split_of(terms[::-1], extras["tray"]) == split, "another order of the story is the same problem"


def test_no_problem_is_in_two_splits_whatever_the_seeds() -> None:
    def numbers(split: str, seed: int) -> set[str]:
        return {json.dumps([sorted(p.extras["terms"]), p.extras["tray"]]) for p in ledger.problems(split, 2000, seed)}

    seen = {split: numbers(split, 0) | numbers(split, 1) for split in ("train", "test", "pretrain")}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["pretrain"]
    assert not seen["test"] & seen["pretrain"]


def test_problem_i_depends_on_seed_split_and_i_alone() -> None:
    few, many = ledger.problems("test", 20, 5), ledger.problems("test", 50, 5)
    assert few == many[:20]
    assert many[7] == ledger.problem("test", 7, 5)
    assert many[7].question != ledger.problem("test", 7, 6).question
    assert [p.problem_id for p in few[:2]] == ["ledger-test-00000", "ledger-test-00001"]


def test_problems_of_a_split_hardly_repeat() -> None:
    questions = [p.question for p in ledger.problems("test", 2000, 3)]
    assert len(set(questions)) > 1990


def test_every_tier_is_common_and_needs_more_work_than_the_one_before() -> None:
    loads: dict[str, list[int]] = {"light": [], "middle": [], "heavy": []}
    for problem in ledger.problems("test", 2000, 0):
        loads[problem.tier].append(ledger.workload(problem.extras["terms"], problem.extras["tray"]))
    assert min(map(len, loads.values())) > 300
    assert max(loads["light"]) < min(loads["middle"])
    assert max(loads["middle"]) < min(loads["heavy"])


def test_suites_hold_the_middle_of_the_workloads_that_the_policy_was_trained_on() -> None:
    def loads(split: str) -> set[int]:
        return {ledger.workload(p.extras["terms"], p.extras["tray"]) for p in ledger.problems(split, 1000, 0)}

    assert loads("train") == loads("test") == set(ledger.SUITE_WORKLOADS)
    assert loads("pretrain") > set(ledger.SUITE_WORKLOADS)


def test_an_unknown_split_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="validation"):
        ledger.problems("validation", 1, 0)


def test_the_samples_are_what_the_task_generates() -> None:
    rows = [json.loads(line) for line in (task_folder("ledger") / "sample.jsonl").read_text().splitlines()]
    fresh = ledger.problems("train", len(rows), 0)
    assert [(r["id"], r["question"], r["answer"], r["tier"]) for r in rows] == [
        (p.problem_id, p.question, p.answer, p.tier) for p in fresh
    ]


def test_the_folder_loads_as_a_task_whose_grader_takes_its_answers() -> None:
    task = Task.load("ledger")
    with Grading(task) as grading:
        for problem in ledger.problems("test", 50, 0):
            assert grading.submit(problem, f"1+1=2\n#### {problem.answer}", "stop").result() == 1.0
            assert grading.submit(problem, f"1+1=2\n#### {problem.answer}1", "stop").result() == 0.0
