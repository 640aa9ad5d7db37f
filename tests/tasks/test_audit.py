"""An audit lists returns that do not agree with the writing; its intervals are those of Clopper and Pearson."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.suite.records import ProblemRecord
from sveb.tasks.audit import Rate, Response, audit
from sveb.tasks.task import Task

PROBLEMS = {"p": ProblemRecord("p", "?", "18")}
RESPONSES = [
    Response("right", "p", r"\boxed{18}", 1.0),
    Response("refused", "p", r"\boxed{\text{18}.}", 0.0),
    Response("wrong", "p", r"\boxed{19}", 0.0),
    Response("paid", "p", r"\boxed{3 6}", 1.0),
    Response("unboxed", "p", "so the answer is 18.", 0.0),
]


def test_zeros_that_equal_and_ones_that_differ_are_listed() -> None:
    found = audit(Task.load("gsm8k"), PROBLEMS, RESPONSES, 10, 0)
    assert found.sampled == 5
    assert [suspect.response_id for suspect in found.refused] == ["refused", "unboxed"]
    assert [suspect.response_id for suspect in found.paid] == ["paid"]
    assert (found.false_negatives, found.false_positives) == (Rate(2, 3), Rate(1, 2))


def test_texts_that_nearly_keep_their_instructions_and_paid_texts_that_repeat_themselves_are_listed() -> None:
    text = "Rivers carry water from the hills down to the wide sea."
    problems = {
        "p": ProblemRecord("p", "?", text, extras={"instructions": ["sentences_exactly 1"], "topic": ["rivers"]}),
        "q": ProblemRecord("q", "?", text, extras={"instructions": ["word_at_least rivers 2"], "topic": None}),
    }
    responses = [
        Response("with a title", "p", f"Here it is:\n{text}", 0.0),
        Response("with a remark", "p", f"{text}\nI hope that this helps.", 0.0),
        Response("two sentences", "p", f"{text} {text}", 0.0),
        Response("kept", "p", f"<think>One.</think>{text}", 1.0),
        Response("a loop", "q", "Rivers carry water from hills to seas. " * 3, 1.0),
    ]
    found = audit(Task.load("instruct"), problems, responses, 10, 0)
    assert [(suspect.response_id, suspect.why.partition(", and ")[2]) for suspect in found.refused] == [
        ("with a remark", "accepted without its last line"), ("with a title", "accepted without its first line"),
    ]  # fmt: skip
    assert [suspect.response_id for suspect in found.paid] == ["a loop"]
    assert found.paid[0].reference == "word_at_least rivers 2"


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [(Rate(0, 10), 0.0, 0.30850), (Rate(10, 10), 0.69150, 1.0), (Rate(5, 10), 0.18709, 0.81291),
     (Rate(0, 0), 0.0, 1.0)]
)  # fmt: skip
def test_intervals_are_exact(rate: Rate, low: float, high: float) -> None:
    assert rate.interval == pytest.approx((low, high), abs=1e-4)


def test_the_embedded_suite_has_no_suspects(tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    result = CliRunner().invoke(app, ["tasks", "audit", "ledger", "--suite", "ledger-nano", "--out", str(page)])
    assert result.exit_code == 0
    assert "suspected right answers refused: 0 of 1000" in result.stdout
    assert "suspected wrong answers paid: 0 of 1000" in result.stdout
    assert page.read_text().count("<h2>") == 2


def test_a_page_is_not_written_over_a_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["tasks", "audit", "ledger", "--suite", "ledger-nano", "--out", str(tmp_path)])
    assert "is a folder: expected the name of a file" in str(result.exception)
