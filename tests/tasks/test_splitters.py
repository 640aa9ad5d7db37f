"""Cuts fall on token boundaries, between characters, and at the ends of what a reader would call a step."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.tasks.sentences import paragraph_ends, protected, sentence_ends
from sveb.tasks.splitters import SPLITTERS, find_splitter, lines, paragraphs, sentences, space, step_ends, tokens

PIECES = st.lists(
    st.sampled_from(
        ["a", " b", "\n", ".\n\n", "1", ".", "", "\ufffd", "é", " \n", " $", "$", "$$", "\\(", "\\)", "```", "。"]
    ),
    max_size=40,
)
NAMES = [*SPLITTERS, "tokens:3"]


def cut(text: str, ends: list[int]) -> list[str]:
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def words(text: str) -> list[str]:
    """Tokens as byte-level vocabularies have them: a word with the space before it, a run of newlines, a mark."""
    return re.findall(r"\n+| ?\w+| ?[^\w\s]| ", text)


def test_a_line_ends_after_its_newline_token() -> None:
    assert lines(["2", "=", "2", "\n", "3", "\n"]) == [4, 6]


def test_a_run_of_newlines_ends_one_line() -> None:
    assert lines(["a", "\n", "\n", "b", ".\n\n", "c"]) == [3, 5]


def test_a_short_step_joins_the_next() -> None:
    assert step_ends(["a", "\n", "b", "c", "d", "\n"], lines, min_tokens=4) == [6]


@pytest.mark.parametrize(
    "steps",
    [
        ["We add.", " Then 3.14 is it!", " Is it?", " Yes"],
        ["First line\n", "second line.\n\n", "Third."],
        ["So $x = 3. y$ holds.", " And \\(a. b\\) too.", " Next"],
        ["It costs $5.", " He has $7.", " Then $x$ is 2.", " So"],
        ["See No. 7, e.g. Dr. Smith et al.?", " No.", " He asked J. Doe, etc. and left.", " Fine"],
        ["1. Add them.", " 2 is left.\n", "2. Take one.", " End"],
        ["\\[ a.\n\nb. \\]\n", "Done. "[:5], " More"],
        ["$$\nx = 1. \n\ny = 2.\n$$\n", "So it is.", " "],
        ["\\begin{align}\na. b\\\\[2pt]\nc\n\\end{align}\n", "Good.", " X"],
        ["Run:\n", "```python\nx = 1.\n\nprint(x). \n```\n", "It prints.", " Well"],
        ["A \\$ sign. "[:10], " B \\$ sign.", " C"],
        ["你好。", "再见！", "ok"],
        ['He said "stop."', " (Really.)", " *Bold.*", " End"],
    ],
)  # fmt: skip
def test_sentences_as_a_reader_sees_them(steps: list[str]) -> None:
    text = "".join(steps)
    ends = [end for end in sentence_ends(text) if end < len(text)]
    assert [*cut(text, ends), text[ends[-1] :]] == steps


@pytest.mark.parametrize("text", [".", "?!", " ", "\n ", ".'\"", "A. ", "。", "$a", "```\n", "1. "])
def test_a_long_run_of_anything_is_cut_at_once(text: str) -> None:
    """Time that grew with the square of the length would take hours here."""
    long = text * (500_000 // len(text))
    assert all(0 < end <= len(long) for end in [*sentence_ends(f"{long}a"), *paragraph_ends(f"{long}a")])


def test_what_was_opened_and_not_closed_is_not_cut() -> None:
    for opener in ("\\(", "\\[", "$$", "```py\n", "\\begin{cases}"):
        text = f"Now.\n{opener} a. b. c\nd. e"
        assert sentence_ends(text) == [5]
        assert protected(text) == [(5, len(text))]


def test_an_unclosed_dollar_is_money() -> None:
    assert protected("He pays $5 for it. She pays $6 for it. ") == []
    assert protected("between $5-$7, and $x$.") == [(19, 22)]


def test_paragraphs_end_at_blank_lines_outside_formulas_and_code() -> None:
    text = "One.\nStill one.\n\nTwo \\[ a\n\nb \\]\n \n\n```\nx\n\ny\n```\n\nThree"
    assert cut(text, paragraph_ends(text)) == [
        "One.\nStill one.\n\n", "Two \\[ a\n\nb \\]\n \n\n", "```\nx\n\ny\n```\n\n",
    ]  # fmt: skip


def test_sentences_end_on_the_token_that_ends_them() -> None:
    pieces = words("We add 2. Then 3.\n\nIt is $a. b$ so. No")
    ends = sentences(pieces)
    assert cut_pieces(pieces, ends) == ["We add 2.", " Then 3.\n\n", "It is $a. b$ so."]


def test_a_token_that_begins_the_next_sentence_is_no_end() -> None:
    assert sentences(["It is", ". The", " end", ".", " So"]) == [4]


def test_space_cuts_once_at_every_run_of_whitespace() -> None:
    pieces = ["Two", " words", "  ", "and", "\n\n", "more", " x y", " z"]
    assert cut_pieces(pieces, space(pieces)) == ["Two", " words", "  and", "\n\nmore", " x y"]


def test_tokens_end_after_so_many_or_after_the_character() -> None:
    assert tokens(2)(["a", "b", "c", "d", "e"]) == [2, 4]
    assert tokens(2)(["a", "", "", "字", "e", "f"]) == [4, 6]
    assert find_splitter("tokens:2")(["a", "b", "c"]) == [2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tokens:0", "at least 1"),
        ("tokens:many", "tokens:N"),
        ("sentence", "did you mean sentences"),
        ("tokens", "tokens:N"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(SvebError, match=message):
        find_splitter(name)


@pytest.mark.parametrize("name", NAMES)
@given(pieces=PIECES, minimum=st.integers(1, 5))
def test_steps_are_ascending_long_enough_and_never_inside_a_character(
    name: str, pieces: list[str], minimum: int
) -> None:
    ends = step_ends(pieces, find_splitter(name), minimum)
    assert all(b - a >= minimum for a, b in zip([0, *ends], ends, strict=False))
    assert all(1 <= end <= len(pieces) and pieces[end - 1] and not pieces[end - 1].endswith("\ufffd") for end in ends)


@given(pieces=PIECES)
def test_no_sentence_or_paragraph_ends_inside_what_is_protected(pieces: list[str]) -> None:
    text = "".join(pieces)
    for end in {*sentences(pieces), *paragraphs(pieces)}:
        place = len("".join(pieces[:end]))
        assert not any(a < place < b for a, b in protected(text))


@pytest.mark.parametrize("name", NAMES)
def test_a_response_of_any_length_is_split(name: str) -> None:
    """Work that grew with the square of the length would take hours here, and the run's time limit would end it."""
    text = "We have $x_1 = 3. 5$ and pay $5. Then \\(y\\) is e.g. 4.\n\n1. So \\[ z. \\] it is!\n"
    many = step_ends(words(text * 50_000), find_splitter(name), 4)
    assert len(many) >= 50_000


def cut_pieces(pieces: list[str], ends: list[int]) -> list[str]:
    return ["".join(pieces[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
