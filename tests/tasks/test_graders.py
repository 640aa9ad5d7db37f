"""Answers as people write them: each spelling of an answer earns 1 for it and 0 for every other."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.tasks.graders.boolean import parse_boolean, same_boolean
from sveb.tasks.graders.extract import after_hashes, last_boxed, last_code
from sveb.tasks.graders.number import parse_number, same_number, spelled
from sveb.tasks.graders.option import parse_option, same_option

NUMBERS = {
    "18": [
        "18.0", "$18", "18 dollars", r"\$18.00", r"18\text{ eggs}", "18 eggs", "x=18", r"x = 18 \text{ eggs}",
        "(18)", "[18]",
        "The answer is 18.", r"\{18\}", "18 km/h", "18 m/s^2", "18 cm²", r"18\,\text{cm}^3", r"18^\circ", "18°C",
        r"18\%",
        "18 percent", r"\frac{36}{2}", "36/2", r"1.8\times10^1", "1.8e1", "$18$ eggs", "$x=18$", r"\(18\)", "**18**",
        "<b>18</b>", "18 (eggs)", "18/hour", r"18 \frac{\text{m}}{\text{s}}", "about 18", "≈ 18", "£18", "18 €",
        "USD 18",
        "018", "+18", "18,", "18th", r"3 \times 6 = 18", "18 = x", "f(2,3) = 18", "1,000 - 982 = 18", r"\boxed{18}",
        "Janet makes 18 dollars", r"\mathbf{18}", r"\text{18 eggs}", r"\$\,18", "１８", "18 m", "18kg",
        r"\color{red}{18}",
        "18-year-old", "x: 18", "18 sq. ft.", r"m\angle A = 18^\circ", r"18\mathrm{~cm}", r"\left(18\right)",
        r"18\ \text{(approx.)}", "18 eggs and pears", "$18\\%$",
    ],
    "-4": ["−4", "- 4", "$-4$", r"-\$4", r"\$-4", "negative 4", "minus 4", "(-4)", "–4", r"-\frac{8}{2}", "is -4",
    "-4°C"],
    "1234567": ["1,234,567", "1{,}234{,}567", r"1\,234\,567", "1 234 567", r"1,\!234,\!567", r"\$1,234,567",
    "12,34,567"],
    "2.5": [r"2\frac{1}{2}", "2 1/2", "5/2", "2.50", r"\frac52", "2½"],
    "0.75": [r"75\%", "75 percent", "3/4", ".75", "¾"],
    "1000000": ["10^6", "10^{6}", "1 million", "10⁶", r"1 \cdot 10^{6}"],
    "24": ["2 dozen"],
}  # fmt: skip
NOT = {
    "18": [
        "3 5", "18 19", "18, 19", "18 or 19", "18-19", "18 to 20", "18x", "18 x", r"18\pi", r"\sqrt{18}", "18i",
        "18!", "> 18",
        r"\ge 18", "at least 18", "more than 18", "not 18", r"\pm 18", "18^2", "18 squared", "18 + 1", r"18 \cdot 2",
        "18 and a half", "1 8", "x18", "x - 18", "x=18, y=3", "x = 18 or x = 19", "half of 18", "18:30", "18k",
        "|18|", "18/2",
        "18,5", "", r"\boxed{18", "18}", "18 or more", "18 isn't right", "18 mod 5", "18_9", "(18,19)", "18?",
        "18 3/4",
        r"18\frac{1}{2}", "9^{9^{9^9}}", "18^{18}", "3, x = 18", "18 feet 3 inches", "square root of 18", "--18",
        "-18",
        r"18 \times 10^2", "multiple of 18",
    ],
    "12": [r"1\text{ and }2", "1$2", "1;2", "1:2", r"1\text{2}", "1 {2}"],
    "35": ["3 5"], "500": ["0,500"], "5600": ["5.600"], "1234": ["12,34", "1,23,4"], "123": ["1,23", "12,3"],
}  # fmt: skip


@pytest.mark.parametrize(("number", "text"), [(number, text) for number in NUMBERS for text in NUMBERS[number]])
def test_a_number_as_people_write_it(number: str, text: str) -> None:
    assert same_number(number, text).grade == 1.0
    assert same_number(text, number).grade == 1.0
    assert same_number("777", text).grade == 0.0


@pytest.mark.parametrize(("number", "text"), [(number, text) for number in NOT for text in NOT[number]])
def test_what_is_another_number_or_not_one_number(number: str, text: str) -> None:
    assert same_number(number, text).grade == 0.0


def _grouped(digits: str, mark: str) -> str:
    return f"{int(digits):,}".replace(",", mark)


AFTER = ("", ".", " eggs", r"\text{ eggs}", " km/h", r"\text{ cm}^2", "^\\circ", " (approx.)", " eggs a day")
AROUND = ("%s", r"\(%s\)", r"\text{%s}", r"\mathbf{%s}", "**%s**", r"\left(%s\right)", r"\boxed{%s}")


@st.composite
def spellings(draw: st.DrawFn) -> tuple[Fraction, str]:
    """A number, and one of the spellings that the table of docs/graders.md allows."""
    negative = draw(st.booleans())
    kind = draw(st.sampled_from(("whole", "grouped", "decimal", "fraction", "mixed", "power")))
    whole = draw(st.integers(0, 10**9))
    if kind == "whole":
        value, text = Fraction(whole), draw(st.sampled_from(("", "0", "00"))) + str(whole)
    elif kind == "grouped":
        value, text = (
            Fraction(whole),
            _grouped(str(whole), draw(st.sampled_from((",", "{,}", r",\!", r"\,", " ", "~")))),
        )
    elif kind == "decimal":
        places = draw(st.integers(0, 999))
        value, text = Fraction(whole) + Fraction(places, 1000), f"{whole}.{places:03}"
    elif kind == "fraction":
        low = draw(st.integers(1, 999))
        form = draw(st.sampled_from((r"\frac{%d}{%d}", r"\dfrac{%d}{%d}", "%d/%d", "%d / %d")))
        value, text = Fraction(whole, low), form % (whole, low)
    elif kind == "mixed":
        low = draw(st.integers(2, 99))
        top = draw(st.integers(1, low - 1))
        value, text = (
            whole + Fraction(top, low),
            draw(st.sampled_from((r"%d\frac{%d}{%d}", "%d %d/%d"))) % (whole, top, low),
        )
    else:
        ten = draw(st.integers(0, 9))
        whole %= 1000
        value, text = (
            Fraction(whole * 10**ten),
            draw(st.sampled_from((r"%d \times 10^{%d}", r"%d\cdot 10^%d"))) % (whole, ten),
        )
    sign = draw(st.sampled_from(("-", "−", r"-\,", "minus "))) if negative else draw(st.sampled_from(("", "+")))
    before = draw(st.sampled_from(("", "$", r"\$", "€", "x = ", "about ", "The answer is ", "2 + 3 = ")))
    if sign == "minus " and before in ("$", r"\$", "€"):
        before = ""
    after = draw(
        st.sampled_from(
            ("", ".", " eggs", r"\text{ eggs}", " km/h", r"\text{ cm}^2", "^\\circ", " (approx.)", " eggs a day")
        )
    )
    around = draw(
        st.sampled_from(("%s", r"\(%s\)", r"\text{%s}", r"\mathbf{%s}", "**%s**", r"\left(%s\right)", r"\boxed{%s}"))
    )
    if "{" in text + after or "^" in text + after or "$" in before or "\\" in sign + after or "(" in after:
        around = "%s"
    return (-value if negative else value), around % f"{before}{sign}{text}{after}"


@given(spellings(), st.fractions())
def test_every_spelling_earns_1_for_its_number_and_0_for_every_other(
    pair: tuple[Fraction, str], other: Fraction
) -> None:
    value, text = pair
    assert same_number(str(value), text).grade == 1.0, text
    if other != value:
        assert same_number(str(other), text).grade == 0.0, text


@given(st.text(max_size=60))
def test_no_text_breaks_a_grader(text: str) -> None:
    for same, gold in ((same_number, "18"), (same_option, "B"), (same_boolean, "yes")):
        assert same(gold, text).grade in (0.0, 1.0)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_two_numbers_are_never_one(a: int, b: int) -> None:
    for mark in (" and ", " or ", ", ", "; ", " to ", r"\text{ or }", " \\quad "):
        assert parse_number(f"{a}{mark}{b}") is None


def test_units_that_both_name_must_agree() -> None:
    assert same_number(r"6\text{ cm}", "6 centimeters").grade == 1.0
    assert same_number(r"6\text{ cm}", "6 m").grade == 0.0
    assert same_number("6", "6 m").grade == 1.0


def test_an_unusable_reference_is_missing_not_zero() -> None:
    assert same_number("many", "18").grade is None
    assert same_option("the owl", "B").grade is None
    assert same_boolean("perhaps", "no").grade is None


def test_a_number_is_spelled_in_the_plainest_way() -> None:
    assert [spelled(Fraction(text)) for text in ("18", "2.50", "1/3")] == ["18", "2.5", "1/3"]


@pytest.mark.parametrize(
    "text",
    [
        "B", "b", "(B)", "( b )", "[B]", "B.", "B)", "B: no", r"\text{(B)}", r"\textbf{(B)}\ 12", r"$\mathrm{B}$",
        "**B**",
        "(B) The owl", r"\text{B. The owl}", "Option B", "The correct answer is (B).", "Answer: B", "B - something",
        "B — the owl",
        "B, because it flies", "B is correct", r"$\boxed{B}$", r"\left(B\right)", "B. A dog", "B. Vitamin C",
        "(B) Vitamin C",
        "B. U.S. law", "(B) vitamins A and D", r"\{B\}", "<strong>B</strong>", "(B)12", "**B.** The owl",
        "B (the owl)", "it's B",
        "B. both A and C", r"\boldsymbol{B}", r"\mathcal{B}", "{B}", "The answer is: $\\textbf{(B)}$",
    ],
)  # fmt: skip
def test_an_option_as_people_write_it(text: str) -> None:
    assert same_option("B", text).grade == 1.0
    assert same_option("C", text).grade == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "A dog", "AB", "", "2", "owl", "A, B", "()", "A or B", "(A) and (B)", "A/B", "A & B", "(A)(B)",
        "A: 5, B: 6", "not A",
        "Options A and B", "neither A nor B", "A?", "A; B", "A) 5 B) 6", "A. B. C.", "A = 5", "A + B", "A^2",
        "A-frame",
        "Option A, Option B", "A is wrong", "Both A and B", r"A\text{ and }B", r"\boxed{A", "A, dog", "A, then B",
        "A. or B.",
        "A_1", "(A) or maybe (B)", r"\{A, B\}", "ABC",
    ],
)  # fmt: skip
def test_a_word_or_two_labels_are_no_option(text: str) -> None:
    assert parse_option(text) is None


@given(
    st.sampled_from("ABCDEFGHJ"),
    st.sampled_from("ABCDEFGHJ"),
    st.sampled_from((", ", " and ", " or ", "/", " & ", ") and (")),
)
def test_two_different_labels_are_no_answer(one: str, other: str, mark: str) -> None:
    for form in ("%s%s%s", "(%s%s%s)", r"\text{%s%s%s}", "Options %s%s%s"):
        assert (parse_option(form % (one, mark, other)) is None) or one == other


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (True, ["yes", "Yes.", "TRUE", r"\text{yes}", r"$\text{True}$", "Yes, they could", "Yes because it is",
        "yes they could",
                "The answer is yes", r"\text{Yes}\,", "**Yes**", "(yes)", "Yes - it can", "It is true",
                "Yes, there is no doubt",
                "yes (true)", r"\boxed{\text{Yes}}", '"Yes"', "Yes, no problem", "Yes — of course"]),
        (False, ["no", "No!", "false", r"\textbf{No}", r"\text{No}\,", "No, they could not", "No because",
        "No, it is not true",
                 "The answer is no", "No it is not", "No. The", "no (false)", "It is false", "not true",
            "It is not true", "untrue"]),
        (None, ["", "maybe", "yes and no", "y", "1", "yes or no", "Yes/No", "yes, no", "No one",
        "no idea",
                "Yes?", "true or false", "Yes. No.", "yes, but also no", r"\boxed{yes", "noble", "yesterday",
                "No wait, yes",
                "false positive", "Yes, wait, no", "neither yes nor no", "true and false"]),
    ],
)  # fmt: skip
def test_yes_and_no_as_people_write_them(value: bool | None, texts: list[str]) -> None:
    assert {text: parse_boolean(text) for text in texts} == dict.fromkeys(texts, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"first \boxed{1}, then \boxed{\frac{1}{2}} done", r"\frac{1}{2}"), ("10 apples", None),
        (r"good \boxed{7}, cut off \boxed{8", None), (r"\boxed{5} so \boxed{7", None), (r"\boxed{5 \boxed{7}", "7"),
        (r"\boxed{7}\boxed{}", ""), (r"\boxed{\{1,2\}}", r"\{1,2\}"), (r"{ \boxed {5} and }} \boxed{\boxed{7}}", "7"),
        (r"\boxed{a \\{b} c}", r"a \\{b} c"), (r"\boxed{5", None), (r"\boxed 5", None), (r"\fbox{5}", None),
        (r"<think>\boxed{5}", None), (r"<think>\boxed{5}</think> so \boxed{6}", "6"), (r"\boxed{5}</think> so", None),
        (r"\boxed{5} <think> hm", "5"), ("\\boxed{5}\n\nQuestion: what? \\boxed{7}", "5"),
        ("Problem: x\n\\boxed{5}\n\n**Problem 2:** what \\boxed{7", "5"), (r"\boxed{5}. Check. So \boxed{6}", "6"),
    ],
)  # fmt: skip
def test_the_last_complete_box_counts_unless_a_truncated_one_follows(text: str, expected: str | None) -> None:
    assert last_boxed(text) == expected


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        (r"x=\boxed{3} and x=\boxed{5}", "3, 5", "3, 5"), (r"\boxed{3}, so all: \boxed{3,5}", "3,5", "3,5"),
        (r"\boxed{3} and \boxed{5}", "5", "5"), (r"\boxed{3} and \boxed{5}", "(3,5)", "5"),
        (r"\boxed{3} and \boxed{5}", r"3 \text{ and } 5", "3, 5"), (r"\boxed{3}\boxed{5}", "1,000", "5"),
        ("\\boxed{1}\n\nAnew:\\boxed{3} or \\boxed{5}", "3,5", "3, 5"), (r"\boxed{3} or \boxed{5}", r"4 \pm 1",
        "3, 5"),
    ],
)  # fmt: skip
def test_boxes_join_only_where_the_reference_is_a_list(text: str, reference: str, expected: str) -> None:
    assert last_boxed(text, reference) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First:\n```python\nx = 1\n```\nBetter:\n```python\nx = 2\ny = 3\n```\n", "x = 2\ny = 3"),
        ("```py\nx = 1\n```\nIt prints\n```\n1\n```", "x = 1"), ("```\nx = 1\n```", "x = 1"),
        ("  ```Python  \n  x = 1\n  ```", "x = 1"), ("```python\nx = '```'\n```", "x = '```'"),
        ("```python\nx = 1\n```\n```python\nx = 2", "x = 2"), ("```python\n```", ""),
        ("Use `x = 1`.", None), ("```x = 1```", None), ("Here: ```python\nprint(1)\n```", "print(1)"),
        ("````python\nprint('''\n```\n''')\n````", "print('''\n```\n''')"), ("~~~python\nprint(1)\n~~~", "print(1)"),
        ("```python\nprint(5)\n```\nOutput:\n```python\n5\n```", "print(5)"),
        ("1. Do\n   ```python\n   print(1)\n   if x:\n       y\n   ```", "print(1)\nif x:\n    y"),
        ('```python\ndef f():\n    """\n```\na\n```\n    """\nprint(1)\n```\nbye',
        'def f():\n    """\n```\na\n```\n    """\nprint(1)'),
        ("```python\nprint(1)```", "print(1)"), ("> ```python\n> print(1)\n> ```", "print(1)"),
        ("```{.python}\nprint(1)\n```\n```text\nprint(2)\n```", "print(1)"), ("<think>```python\nprint(0)\n```",
        None),
        ("```python\nprint(1)\n```\nQuestion: now\n```python\nprint(2)\n```", "print(1)"),
        ("```python\nprint(1)\n```\n```python\nprint(2\n```", "print(2"), ("```python\nx = 1\n~~~\ny = 2\n```",
        "x = 1\n~~~\ny = 2"),
    ],
)  # fmt: skip
def test_the_last_program_counts_in_whichever_fence(text: str, expected: str | None) -> None:
    assert last_code(text) == expected


def test_hashes_take_the_line_after_the_last_mark() -> None:
    assert after_hashes("2*3=6\n#### 5\nwait\n#### 6\nbye") == "6"
    assert after_hashes("2*3=6\n####0#### 9") == "9"
    assert after_hashes("#### 18\n\nQuestion: b\n#### 5") == "18"
    assert after_hashes("2*3=6") is None


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 50_000, "```python\n" * 50_000, "{" * 200_000, "`" * 200_000,
        "<think>" * 50_000, "```\n'''\n" * 30_000,
        "\\boxed{1}\nquestion" + " " * 100_000 + "\\boxed{2}", "\\boxed{1}\nq (" + "x" * 100_000 + "\\boxed{2}",
        r"\boxed{1} " * 30_000, "#### 1\n" * 30_000, "Question: \\boxed{1}\n" * 10_000, "> " * 50_000,
    ],
    ids=lambda text: text[:10],
)  # fmt: skip
def test_a_hostile_response_is_read_in_one_pass(text: str) -> None:
    started = time.process_time()
    for extract in (last_boxed, last_code, after_hashes):
        extract(text, "1, 2")
    assert time.process_time() - started < 20, "read again for every brace it would take minutes"
