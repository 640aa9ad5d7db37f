"""Numca against tables that were computed by hand."""

import numpy as np
import pytest

from sveb.contract.problem import Group, Problem, State
from sveb.estimators.numca import Numca, milestones, numbers, positions


def names(text: str, variant: str) -> list[str]:
    return [name for name, _ in numbers(text, variant)]


def problem(rollouts: list[tuple[str, float]], prefixes: list[str]) -> Problem:
    texts, returns = [text for text, _ in rollouts], np.array([return_ for _, return_ in rollouts])
    group = Group(returns, texts, [], [])
    states = [State(f"s{i}", np.empty(0, np.int32), text, 0, 0, "path") for i, text in enumerate(prefixes)]
    return Problem("p", "?", np.empty(0, np.int32), states, 0, lambda: group, lambda: "")


def sets(*members: str) -> list[frozenset[str]]:
    return [frozenset(text.split()) for text in members]


def test_official_numbers_are_runs_of_digits_with_their_ends() -> None:
    assert numbers("a 1,000 b 3.14 c 3/4", "official") == [
        ("1", 3), ("000", 7), ("3", 11), ("14", 14), ("3", 18), ("4", 20)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000 = 1000", ["1000", "1000"]),
        ("12,345,678.5", ["12345678.5"]),
        ("pi is 3.14.", ["3.14"]),
        ("3/4 of 1,200/7", ["3/4", "1200/7"]),
        ("1, 2,3", ["1", "2", "3"]),
        ("1,0000", ["1", "0000"]),
        ("1234,567", ["1234", "567"]),
        ("2*17=34", ["2", "17", "34"]),
        ("none", []),
    ],
)
def test_backoff_numbers_are_whole_decimals_and_fractions(text: str, expected: list[str]) -> None:
    assert names(text, "backoff") == expected


def test_positions_chain_from_the_end_so_that_a_dense_span_moves_as_one() -> None:
    # Gaps 49, 40, 60, 10: the first two follow the third to 99; the fourth follows the fifth to 169.
    assert positions([10, 59, 99, 159, 169], 50) == [99, 99, 99, 169, 169]


def test_a_gap_of_exactly_min_gap_does_not_move() -> None:
    assert positions([0, 50, 99], 50) == [0, 99, 99]
    assert positions([3, 4, 5], 0) == [3, 4, 5]
    assert positions([], 50) == []


def test_milestones_are_the_sets_at_the_ends_of_spans() -> None:
    found = [("7", 10), ("8", 20), ("9", 100)]
    assert milestones(found, 50) == sets("", "7 8", "7 8 9")
    assert milestones(found, 0) == sets("", "7", "7 8", "7 8 9")
    assert milestones([], 50) == sets("")


def test_a_number_that_comes_again_makes_no_new_state() -> None:
    assert milestones([("5", 10), ("5", 200), ("6", 300), ("5", 400)], 50) == sets("", "5", "5 6")


GROUP = [("a 1 b 2 c 9", 1.0), ("a 1 b 3 c 9", 0.0), ("a 1 b 2 c 4 d 9", 0.0), ("none", 1.0)]
# Without their last numbers the rollouts pass, with min_gap = 0:
#   {} {1} {1,2} | {} {1} {1,3} | {} {1} {1,2} {1,2,4} | {}
# so {}: 2/4, {1}: 1/3, {1,2}: 1/2, {1,3}: 0/1, {1,2,4}: 0/1.


def test_the_table_holds_each_rollout_once_in_every_state_that_it_passes() -> None:
    sums, counts = Numca(min_gap=0).table(problem(GROUP, []).group)
    states = sets("", "1", "1 2", "1 3", "1 2 4")
    assert {state: (sums[state], counts[state]) for state in counts} == dict(
        zip(states, [(2, 4), (1, 3), (1, 2), (0, 1), (0, 1)], strict=True)
    )


def test_official_values() -> None:
    asked = problem(GROUP, ["", "a 1", "x 2 y 1", "a 1 b 3", "a 1 b 7"])
    expected = [0.5, 1 / 3, 0.5, 0.0, 0.0]
    assert Numca("official", min_gap=0).predict(asked) == pytest.approx(expected)


def test_a_prefix_keeps_its_last_number() -> None:
    """What ends a complete response is its answer; what ends a prefix is a step."""
    assert Numca("official", min_gap=0).predict(problem(GROUP, ["a 1 b 2"])) == pytest.approx([1 / 2])


def test_without_drop_last_the_answers_are_in_the_table() -> None:
    asked = problem(GROUP, ["1 2 9", "1 2 4 9"])
    assert Numca("official", min_gap=0).predict(asked) == pytest.approx([0.0, 0.0])
    assert Numca("official", min_gap=0, drop_last=False).predict(asked) == pytest.approx([1.0, 0.0])


def test_backoff_values() -> None:
    """kappa = 2: V{} = 1/2; V{1} = (1 + 2/2)/(3 + 2) = .4; V{1,2} = (1 + .8)/4 = .45; V{1,2,4} = .9/3 = .3."""
    asked = problem(GROUP, ["", "1", "1 2", "1 2 4", "1 3", "1 7", "7", "1 7 2"])
    expected = [0.5, 0.4, 0.45, 0.3, 0.8 / 3, 0.4, 0.5, 0.4]
    assert Numca(min_gap=0).predict(asked) == pytest.approx(expected)


def test_backoff_goes_over_an_unseen_state_to_one_with_support() -> None:
    """{1,4} was never passed, {1,2,4} was: it shrinks towards {1}, the longest earlier state with support."""
    assert Numca(min_gap=0).predict(problem(GROUP, ["1 4 2"])) == pytest.approx([(0 + 2 * 0.4) / 3])


def test_kappa_weighs_the_parent() -> None:
    asked = problem(GROUP, ["1 2"])
    assert Numca(min_gap=0, kappa=0.0).predict(asked) == pytest.approx([0.5])
    assert Numca(min_gap=0, kappa=1e9).predict(asked) == pytest.approx([0.5])
    assert Numca(min_gap=0, kappa=4.0).predict(asked) == pytest.approx([(1 + 4 * (1 + 4 * 0.5) / 7) / 6])


def test_a_dense_span_is_passed_as_a_whole() -> None:
    """1 and 2 stand 4 characters apart, 3 comes 60 later: {1} is no state of the rollout, {1,2} is.

    A prefix that ends less than 50 characters after its last number may still go on within the span.
    """
    rollout = "a 1 b 2" + " " * 60 + "3" + " " * 60 + "9"
    asked = problem([(rollout, 1.0), ("none", 0.0)], ["a 1", "a 1 b 2", rollout[:68]])
    assert Numca("official").predict(asked) == pytest.approx([0.5, 0.5, 1.0])
    cuts = problem([(rollout, 1.0), ("none", 0.0)], [rollout[:n] for n in (55, 56, 116, 117)])
    assert [len(Numca("official")._passed(state, cuts.group)[-1]) for state in cuts.states] == [0, 2, 2, 3]
    # kappa = 2, V{} = .5: {1} falls back to it; {1,2} = (1 + 1)/3; {1,2,3} = (1 + 4/3)/3.
    assert Numca().predict(asked) == pytest.approx([0.5, 2 / 3, 7 / 9])


def test_variants_differ_in_what_a_number_is() -> None:
    rollouts = [("1,000 then 5", 1.0), ("nothing", 0.0)]
    asked = problem(rollouts, ["so 1000"])
    assert Numca("official", min_gap=0).predict(asked) == pytest.approx([0.0])
    assert Numca(min_gap=0).predict(asked) == pytest.approx([2 / 3])


def test_an_empty_group_gives_no_value() -> None:
    assert np.isnan(Numca().predict(problem([], ["1"]))).all()
