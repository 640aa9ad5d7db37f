"""The math grader: what counts as the same expression, and expressions that never end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sveb.sandbox.process_watch import tree
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading, gold_fault
from sveb.tasks.task import Task

TASK = Task.load("gsm8k")
TASK = replace(TASK, answer={**TASK.answer, "grader": "math"})


@pytest.fixture(scope="module")
def grading() -> Iterator[Grading]:
    with Grading(TASK) as running:
        yield running


def problem(gold: str) -> ProblemRecord:
    return ProblemRecord("p", "?", gold)


def grade(grading: Grading, gold: str, found: str) -> float | None:
    return grading.submit(problem(gold), f"So it is \\boxed{{{found}}}.", "stop").result(60)


def workers() -> list[int]:
    """Processes of the grader that descend from this one."""
    found = []
    for pid in tree(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        found += [pid] if b"sveb.tasks.graders.math_grader" in command else []
    return found


# gold, the same in other words, another
SAME = [
    (r"\frac{1}{2}", "0.5", r"\frac{2}{1}"),
    (r"\frac12", "1/2", "12"),
    ("x^2+2x+1", "(x+1)^2", "(x-1)^2"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", r"\sqrt{3}"),
    ("3,5,7", r"\{7, 5, 3\}", "3,5"),
    (r"(-\infty, 3)\cup(5,\infty)", r"(-\infty,3) \cup (5,\infty)", r"(-\infty,3] \cup (5,\infty)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"),
    (r"\text{Evelyn}", "Evelyn", r"\text{Anna}"),
    (r"\text{(B)}", "B", "C"),
    ("1{,}000", "1000", "100"),
    (r"90^\circ", "90", "9"),
    ("x=5", "5", "6"),
    ("$-3$", "-3", "3"),
    (r"1.5 \times 10^5", "150000", "15000"),
    ("10", "010", "10.5"),
    ("12345678901234567890", "12345678901234567890.0", "12345678901234567899"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "same", "other"), SAME)
def test_the_same_expression_scores_and_another_does_not(grading: Grading, gold: str, same: str, other: str) -> None:
    assert gold_fault(TASK, problem(gold)) is None
    assert grade(grading, gold, gold) == 1.0
    assert grade(grading, gold, same) == 1.0
    assert grade(grading, gold, other) == 0.0


@pytest.mark.parametrize("found", ["", "  ", r"\frac{", "no idea", "10 apples or 12", "\x00", "\ud800"])
def test_what_is_no_answer_is_wrong_not_missing(grading: Grading, found: str) -> None:
    before = sum(grading.failures.values())
    assert grade(grading, "10", found) == 0.0
    assert sum(grading.failures.values()) == before


def test_only_a_box_is_an_answer(grading: Grading) -> None:
    """math-verify by itself credits any trailing number, and merges two boxes into a set."""
    for text, expected in (
        ("I cannot solve it. 10 apples", 0.0),
        (r"\boxed{3}, no: \boxed{10}", 1.0),
        (r"\boxed{10}, no: \boxed{3}", 0.0),
    ):
        assert grading.submit(problem("10"), text, "stop").result(60) == expected


@pytest.mark.slow
def test_an_expression_without_end_is_missing_and_holds_up_nothing(grading: Grading) -> None:
    bombs = [r"\sum_{k=1}^{2} 9^{9^{9^{9}}}", r"\sum_{k=1}^{3} 9^{9^{9^{9}}}"]
    waiting = [grading.submit(problem("5"), f"\\boxed{{{bomb}}}", "stop") for bomb in bombs]
    assert grade(grading, "5", "5") == 1.0
    assert not any(future.done() for future in waiting)
    assert [future.result(120) for future in waiting] == [None, None]
    assert grading.failures["the comparison took more than 3 s of CPU time"] == 2
    assert grade(grading, r"\frac12", "2/4") == 1.0


def test_a_killed_process_is_replaced_and_its_item_graded(grading: Grading) -> None:
    assert grade(grading, r"\frac12", "3/6") == 1.0
    before = sum(grading.failures.values())
    for pid in workers():
        os.kill(pid, signal.SIGKILL)
    assert [grade(grading, r"\frac12", f"{i}/{2 * i}") for i in range(4, 8)] == [1.0] * 4
    assert sum(grading.failures.values()) == before


def test_an_unreadable_reference_is_said() -> None:
    assert "empty" in str(gold_fault(TASK, problem(" ")))
    assert "the reference '$$' is not certain" in str(gold_fault(TASK, problem("$$")))
