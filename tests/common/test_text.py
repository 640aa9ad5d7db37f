"""Text for one line of a message."""

import pytest

from sveb.common.text import first_few, shortened


@pytest.mark.parametrize(("text", "expected"), [("abcdef", "abcdef"), ("abcdefg", "abc..."), ("", "")])
def test_long_text_keeps_its_beginning(text: str, expected: str) -> None:
    assert shortened(text, 6) == expected


def test_the_first_few_and_how_many_more() -> None:
    assert first_few([3, 7, 9], 3) == "3, 7, 9"
    assert first_few([3, 7, 9, 1], 3) == "3, 7, 9 and 1 more"
    assert first_few(["a b", "c d", "e"], 2, "; ") == "a b; c d; and 1 more"
    assert first_few([], 2) == ""
