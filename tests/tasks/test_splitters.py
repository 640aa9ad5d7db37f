"""Cuts fall on token boundaries at the ends of lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sveb.tasks.splitters import lines, step_ends

PIECES = st.lists(st.sampled_from(["a", " b", "\n", ".\n\n", "1", "\ufffd", "é", " \n"]), max_size=40)


def test_a_line_ends_after_its_newline_token() -> None:
    assert lines(["2", "=", "2", "\n", "3", "\n"]) == [4, 6]


def test_a_run_of_newlines_ends_one_line() -> None:
    assert lines(["a", "\n", "\n", "b", ".\n\n", "c"]) == [3, 5]


def test_a_short_step_joins_the_next() -> None:
    assert step_ends(["a", "\n", "b", "c", "d", "\n"], lines, min_tokens=4) == [6]


@given(PIECES, st.integers(1, 5))
def test_steps_are_ascending_long_enough_and_end_in_newlines(pieces: list[str], minimum: int) -> None:
    ends = step_ends(pieces, lines, minimum)
    assert all(b - a >= minimum for a, b in zip([0, *ends], ends, strict=False))
    assert all("\n" in pieces[end - 1] for end in ends)
    assert "".join(pieces[: ends[-1]] if ends else []) == "".join(
        "".join(pieces[a:b]) for a, b in zip([0, *ends], ends, strict=False)
    )
