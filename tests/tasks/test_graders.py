"""Answers: what counts as the same number, and where a response's answer stands."""

from __future__ import annotations

import pytest

from sveb.tasks.graders.extract import after_hashes, last_boxed, last_code
from sveb.tasks.graders.short_answers import (
    parse_boolean,
    parse_number,
    parse_option,
    same_boolean,
    same_number,
    same_option,
)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"{ \boxed {5} and }} \boxed{\boxed{7}}", "7"),
        (r"\boxed{a \\{b} c}", r"a \\{b} c"),
        (r"\boxed{}", ""),
        (r"\boxed{5", None),
        (r"\boxed 5", None),
        (r"\fbox{5}", None),
    ],
)
def test_braces_balance_and_escaped_ones_do_not_count(text: str, expected: str | None) -> None:
    assert last_boxed(text) == expected


@pytest.mark.parametrize("text", [r"\boxed{" * 10**6, "```python\n" * 10**6, "{" * 10**6, "`" * 10**6])
def test_a_response_that_never_closes_anything_is_read_in_one_pass(text: str) -> None:
    """Read again for every brace it would take hours, and the run's time limit would end it."""
    assert last_boxed(text) is None
    assert last_code(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First:\n```python\nx = 1\n```\nBetter:\n```python\nx = 2\ny = 3\n```\n", "x = 2\ny = 3"),
        ("```py\nx = 1\n```\nIt prints\n```\n1\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("  ```Python  \n  x = 1\n  ```", "  x = 1"),
        ("```python\nx = '```'\n```", "x = '```'"),
        ("```python\nx = 1\n```\n```python\nx = 2", "x = 1"),
        ("```python\n```", ""),
        ("Use `x = 1`.", None),
        ("```x = 1```", None),
    ],
)
def test_the_last_python_block_counts_else_the_last_block(text: str, expected: str | None) -> None:
    assert last_code(text) == expected


def test_hashes_take_the_line_after_the_last_mark() -> None:
    assert after_hashes("2*3=6\n#### 5\nwait\n#### 6\nbye") == "6"
    assert after_hashes("2*3=6") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"), ("b", "B"), ("(B)", "B"), ("( b )", "B"), ("[B]", "B"), ("B.", "B"), ("B)", "B"), ("B: no", "B"),
        (r"\text{B}", "B"), (r"\text{(B)}", "B"), (r"\textbf{(B)}\ 12", "B"), (r"$\mathrm{B}$", "B"), ("**B**", "B"),
        ("(B) The owl", "B"), (r"\text{B. The owl}", "B"),
        ("A dog", None), ("AB", None), ("", None), ("2", None), ("owl", None), ("A, B", None), ("()", None),
    ],
)  # fmt: skip
def test_options_as_people_write_them(text: str, expected: str | None) -> None:
    assert parse_option(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True), ("Yes.", True), ("TRUE", True), (r"\text{yes}", True), (r"$\text{True}$", True),
        ("no", False), ("No!", False), ("false", False), (r"\textbf{No}", False),
        ("", None), ("maybe", None), ("yes and no", None), ("not true", None), ("y", None), ("1", None),
    ],
)  # fmt: skip
def test_yes_and_no_as_people_write_them(text: str, expected: bool | None) -> None:
    assert parse_boolean(text) is expected


def test_options_and_booleans_compare_and_an_unusable_reference_is_missing() -> None:
    assert [same_option("(B)", found) for found in ("B", "C", "", "owl")] == [1.0, 0.0, 0.0, 0.0]
    assert same_option("the owl", "B") is None
    assert [same_boolean("no", found) for found in ("No.", "yes", "", "0")] == [1.0, 0.0, 0.0, 0.0]
    assert same_boolean("perhaps", "no") is None
