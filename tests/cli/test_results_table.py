"""The picture of a skill in the table of results."""

from __future__ import annotations

import math

import pytest

from sveb.cli.run_tables import skill_picture
from sveb.runs.results import Estimate


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.2, 0.8, "    │  ─────●─────   "),
        (0.2, math.nan, "    │  ─────●        "),
        (math.nan, 0.7, "    │       ●───     "),
        (math.nan, math.nan, "    │       ●        "),
    ],
)
def test_an_interval_without_an_end_is_drawn_up_to_the_value(low: float, high: float, expected: str) -> None:
    assert skill_picture(Estimate(0.5, low, high)).plain == expected
