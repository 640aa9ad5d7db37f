"""Countdown: an answer is parsed, never run, and must use exactly the given numbers."""

from __future__ import annotations

import ast

import pytest

from sveb.suite.records import ProblemRecord
from sveb.tasks.task_folders import load_code

countdown = load_code("countdown")
PROBLEM = ProblemRecord("p", "?", "(25-4)*2+7", extras={"numbers": [7, 25, 4, 2], "target": 49})


@pytest.mark.parametrize(
    "answer",
    [
        "(25-4)*2+7", "7 + 2*(25 - 4)", r"(25 - 4) \times 2 + 7", r"7+2\cdot\left(25-4\right)", "2(25-4)+7",
        "(25−4)×2+7", "(25-4)*2+7 = 49", "$(25-4)*2+7$", "((25-4))*2+7", "-(4-25)*2+7",
    ],
)  # fmt: skip
def test_ways_to_write_the_solution(answer: str) -> None:
    assert countdown.grade(PROBLEM, answer) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "", "49", "7*7", "25+25-1", "(25-4)*2", "(25-4)*2+7+0", "25-4*2+7", "(25-4)*(2)+7)", "1/0", "(25-4)*2+007",
        "25//4*2+7", "2**25", "9**9**9**9", "x+25", "sum([25,4])", "__import__('os').system('id')", "(25-4)*2+7#",
        "1e9", "=", "(" * 100 + "1" + ")" * 100, "9" * 100_000, "-" * 119 + "1",
    ],
)  # fmt: skip
def test_whatever_else_is_written_scores_0_at_once(answer: str) -> None:
    assert countdown.grade(PROBLEM, answer) == 0.0


def test_fractions_are_exact() -> None:
    problem = ProblemRecord("p", "?", "8/(3-8/3)", extras={"numbers": [8, 3, 8, 3], "target": 24})
    assert countdown.grade(problem, "8/(3-8/3)") == 1.0
    assert countdown.grade(problem, r"8/(3-\frac{8}{3})") == 1.0


def test_a_problem_without_its_numbers_is_missing_not_zero() -> None:
    assert countdown.grade(ProblemRecord("p", "?", "1+2"), "1+2") is None


def test_problems_are_solvable_distinct_and_show_their_own_numbers() -> None:
    problems = countdown.problems("test", 200, 3)
    assert len({p.question for p in problems}) > 195
    for problem in problems:
        assert countdown.grade(problem, problem.answer) == 1.0
        assert countdown.grade(problem, countdown.altered(problem)) == 0.0
        assert problem.extras["target"] in countdown.TARGETS
        for number in problem.extras["numbers"]:
            assert str(number) in problem.question
        operations = {type(node.op) for node in ast.walk(ast.parse(problem.answer)) if isinstance(node, ast.BinOp)}
        assert operations != {ast.Add}


def test_no_two_splits_share_a_problem_and_problem_i_depends_on_seed_split_and_i_alone() -> None:
    seen = {
        split: {(tuple(sorted(p.extras["numbers"])), p.extras["target"]) for p in countdown.problems(split, 150, seed)}
        for split in ("train", "test")
        for seed in (0, 1)
    }
    assert not seen["train"] & seen["test"]
    assert countdown.problems("train", 5, 7) == countdown.problems("train", 9, 7)[:5]
    assert countdown.problem("train", 3, 7) == countdown.problems("train", 5, 7)[3]


def test_an_unknown_split_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="validation"):
        countdown.problems("validation", 1, 0)
