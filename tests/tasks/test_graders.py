"""Answers: what counts as the same number, and where a response's answer stands."""

from __future__ import annotations

import pytest

from sveb.tasks.graders.compare import parse_number, same_number
from sveb.tasks.graders.extract import after_hashes, last_boxed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18", "18"), ("1,234", "1234"), ("$1,234.50", "1234.50"), (r"\$18", "18"), ("-7", "-7"), ("+7", "7"),
        ("18.", "18"), ("0.5", "0.5"), (".5", "0.5"), (r"75\%", "75"), (r"18\text{ eggs}", "18"), (r"1\,000", "1000"),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, expected: str) -> None:
    assert str(parse_number(text)) == expected


@pytest.mark.parametrize(
    "text", ["", "eggs", "18 or 19", "1,23", "12,3456", "3/4", "nan", "inf", "1e3", "-", "--3", "٣x"]
)
def test_what_is_no_plain_number_is_none(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("gold", "found", "expected"),
    [("18", "18.0", 1.0), ("1000", "1,000", 1.0), ("18", "19", 0.0), ("18", "", 0.0), ("18", "eggs", 0.0)],
)
def test_same_number(gold: str, found: str, expected: float) -> None:
    assert same_number(gold, found) == expected


def test_an_unusable_reference_is_missing_not_zero() -> None:
    assert same_number("eighteen", "18") is None


def test_the_last_balanced_box_counts() -> None:
    assert last_boxed(r"first \boxed{1}, then \boxed{\frac{1}{2}} done") == r"\frac{1}{2}"
    assert last_boxed(r"good \boxed{7}, cut off \boxed{8") == "7"
    assert last_boxed("I cannot solve it. 10 apples") is None


def test_hashes_take_the_line_after_the_last_mark() -> None:
    assert after_hashes("2*3=6\n#### 5\nwait\n#### 6\nbye") == "6"
    assert after_hashes("2*3=6") is None
