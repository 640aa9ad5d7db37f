"""Thinking models: what is in a thought is neither an answer nor graded, and an unclosed thought is truncation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sveb.suite.records import FinishReason, ProblemRecord
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

PROBLEM = ProblemRecord("p", "2+2?", "4")


def with_rule(thought: str, truncated: float | str) -> Task:
    """GSM8K for a policy whose prompts open this thought, with another return for truncated responses."""
    task = Task.load("gsm8k")
    return replace(task, thought=thought, answer={**task.answer, "truncated": truncated})


@pytest.mark.parametrize(
    ("thought", "text", "finish", "expected"),
    [
        ("", r"<think>maybe \boxed{5}</think> \boxed{4}", "stop", 1.0),
        ("", r"<think>maybe \boxed{4}</think> \boxed{5}", "stop", 0.0),
        ("", r"<think>maybe \boxed{4}</think> I give up.", "stop", 0.0),
        ("", r"<think>maybe \boxed{4}", "stop", 0.25),
        ("", r"<think>maybe \boxed{4}", "length", 0.25),
        ("", r"\boxed{4} <think> or not", "stop", 1.0),
        ("", r"maybe \boxed{4}", "stop", 1.0),
        ("<think>", r"maybe \boxed{4}", "stop", 0.25),
        ("<think>", r"maybe \boxed{5}</think> \boxed{4}", "stop", 1.0),
        ("<think>", r"maybe \boxed{4}</think> no", "stop", 0.0),
        ("<think>", r"<think>maybe</think> \boxed{4}", "stop", 0.25),
    ],
)  # fmt: skip
def test_only_what_follows_the_thought_is_graded(
    thought: str, text: str, finish: FinishReason, expected: float
) -> None:
    with Grading(with_rule(thought, 0.25)) as grading:
        assert grading.submit(PROBLEM, text, finish).result() == expected


def test_a_task_that_grades_truncated_responses_finds_no_answer_in_an_unclosed_thought() -> None:
    with Grading(with_rule("<think>", "grade")) as grading:
        grade = grading.submit(PROBLEM, r"maybe \boxed{4}", "length")
        assert (grade.result(), grade.reason) == (0.0, "no answer was found in the response")
        assert grading.submit(PROBLEM, r"maybe </think>\boxed{4}", "length").result() == 1.0


def test_the_reason_names_the_unclosed_thought() -> None:
    with Grading(with_rule("<think>", 0.0)) as grading:
        assert grading.submit(PROBLEM, "hm", "stop").reason == "did not end its thought"


def test_a_box_inside_the_thought_does_not_end_the_states() -> None:
    plain, opened = with_rule("", 0.0), with_rule("<think>", 0.0)
    assert plain.answered(r"maybe \boxed{4}")
    assert not opened.answered(r"maybe \boxed{4}")
    assert not plain.answered(r"<think>maybe \boxed{4}")
    assert opened.answered(r"maybe \boxed{4}</think> it is \boxed{4}")
