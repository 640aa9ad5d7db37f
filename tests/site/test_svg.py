"""Drawings as text, and foreign text in them."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sveb.runs.results import Estimate
from sveb.site.svg import Strip, reach, tag, ticks
from sveb.site.visible import visible


def test_control_characters_are_spelled_out_and_line_ends_kept():
    assert visible("a\x00b\x1b[31m\u202ec\r\nd\te\x85") == "a⟨U+0000⟩b⟨U+001B⟩[31m⟨U+202E⟩c\nd\te⟨U+0085⟩"
    assert visible("שלום 日本 𝕏 é") == "שלום 日本 𝕏 é"


def test_elements_escape_what_they_hold():
    assert tag("text", "<b>&", x=1.0, y=0.126, class_='"') == '<text x="1" y="0.13" class="&#34;">&lt;b&gt;&amp;</text>'


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low, width):
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 6
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in found)


def test_a_wild_interval_does_not_dwarf_the_values_and_ends_in_an_arrow():
    wild = [Estimate(0.1, -500.0, 900.0), Estimate(0.3, 0.2, 0.4)]
    low, high = reach(wild)
    assert -1 < low < 0.1
    assert 0.3 < high < 1
    row = str(Strip(low, high).row(wild[0]))
    assert row.count("<svg") == 3
    assert str(Strip(low, high).row(wild[1])).count("<svg") == 1


def test_a_missing_value_has_no_dot_and_a_missing_interval_no_bar():
    strip = Strip(0, 1)
    nan = math.nan
    assert "<circle" not in strip.row(Estimate(nan, nan, nan, "why"))
    assert "whisker" not in strip.row(Estimate(0.5, nan, nan, "why"))
    assert reach([Estimate(nan, nan, nan, "why")]) == (0.0, 1.0)


def test_an_end_that_does_not_exist_is_open():
    row = str(Strip(0, 1).row(Estimate(0.5, 0.4, math.nan, "some replicates undefined")))
    assert row.count("<svg") == 2
    assert 'x1="40.6%" x2="97%"' in row
