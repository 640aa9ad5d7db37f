"""The figures of `bench.learning_curves`: means over seeds with their intervals, and which problems a seed has."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from bench.learning_curves import Cell, over_seeds
from bench.learning_picture import Point, picture
from sveb.runs.results import Estimate


def test_the_interval_over_seeds_and_problems_by_hand() -> None:
    """Values .1 .2 .3: standard deviation .1, Student's t 4.303 * .1 / sqrt 3 = .2484; over problems .05 and .1."""
    found, spread = over_seeds([Estimate(v, v - 0.05, v + 0.1) for v in (0.1, 0.2, 0.3)])
    assert (found.value, spread) == pytest.approx((0.2, 0.1))
    assert found.low == pytest.approx(0.2 - math.hypot(0.05, 0.2484), abs=1e-4)
    assert found.high == pytest.approx(0.2 + math.hypot(0.1, 0.2484), abs=1e-4)


def test_two_seeds_have_the_interval_over_problems() -> None:
    found, _ = over_seeds([Estimate(v, v - 0.05, v + 0.1) for v in (0.1, 0.3)])
    assert (found.low, found.high) == pytest.approx((0.15, 0.3))


def test_seeds_share_no_problem_up_to_20000_rollouts() -> None:
    for rollouts in (1440, 20_000):
        places = [set(Cell("probe", rollouts, seed).problems) for seed in (0, 1, 2)]
        assert {len(each) for each in places} == {rollouts // 8}
        assert len(set.union(*places)) == 3 * rollouts // 8
    small, large = (Cell("critic", n, 1).problems for n in (1440, 4000))
    assert set(small) < set(large)


def test_the_picture_has_a_dot_for_each_measured_point_and_says_its_values() -> None:
    points = [Point(1440, Estimate(0.1, 0.0, 0.2)), Point(4000, Estimate(0.25, 0.1, 0.3))]
    root = ElementTree.fromstring(picture({"probe": points}, (1440, 4000, 8000)))
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2 + 1  # one of them in the key
    assert "probe: 0.10 at 1440, 0.25 at 4000" in root.attrib["aria-label"]
