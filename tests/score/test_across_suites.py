"""Entries on several suites: ranks among those that are on all, places that move, and orders that turn."""

from __future__ import annotations

import numpy as np

from sveb.score.across_suites import across_suites
from sveb.score.arrays import FloatArray
from sveb.score.bootstrap import resample
from sveb.score.rank_intervals import rank_values
from sveb.score.synthetic import simulate
from sveb.score.truth import Truth


def scored(seed: int, errors: dict[str, float]) -> tuple[Truth, dict[str, FloatArray]]:
    """A suite, and entries whose values are the truth with normal errors of these sizes."""
    simulated, rng = simulate(seed, problems=60), np.random.default_rng(seed)
    found = {name: simulated.value + rng.normal(0, error, len(simulated.truth.n)) for name, error in errors.items()}
    return simulated.truth, found


def test_places_that_move_and_orders_that_turn_are_seen() -> None:
    one = scored(0, {"a": 0.05, "b": 0.2, "c": 0.6, "only here": 0.01})
    two = scored(1, {"b": 0.2, "a": 0.4, "c": 0.6})
    found = across_suites({"one": one, "two": two})
    assert found.suites == ["one", "two"]
    assert list(found.entries) == ["a", "b", "c"]
    assert {name: entry.ranks for name, entry in found.entries.items()} == {
        "a": {"one": [1, 1], "two": [2, 2]}, "b": {"one": [2, 2], "two": [1, 1]}, "c": {"one": [3, 3], "two": [3, 3]},
    }  # fmt: skip
    assert [entry.keeps for entry in found.entries.values()] == [False, False, True]
    assert [entry.turned for entry in found.entries.values()] == [["b"], ["a"], []]


def test_ranks_are_those_of_the_shared_entries_alone() -> None:
    truth, values = scored(0, {"a": 0.1, "b": 0.11, "best": 0.01})
    found = across_suites({"one": (truth, values), "two": scored(1, {"a": 0.1, "b": 0.11})})
    ranking = rank_values(truth, {name: values[name] for name in "ab"}, resample(len(truth.problem_ids)))
    for place, name in enumerate(ranking.names):
        assert found.entries[name].ranks["one"] == [ranking.rank_low[place], ranking.rank_high[place]]


def test_overlapping_intervals_show_no_change() -> None:
    found = across_suites({"one": scored(0, {"a": 0.1, "b": 0.1}), "two": scored(1, {"a": 0.1, "b": 0.1})})
    assert all(entry.keeps and not entry.turned for entry in found.entries.values())


def test_one_suite_or_no_shared_entry_gives_nothing() -> None:
    one = scored(0, {"a": 0.1})
    assert across_suites({}).suites == []
    assert across_suites({"one": one}).suites == []
    assert across_suites({"one": one, "two": scored(1, {"b": 0.1})}).entries == {}


def test_a_suite_without_path_states_is_left_out() -> None:
    truth, values = scored(2, {"a": 0.1})
    roots = type(truth)(**{**vars(truth), "kind": np.full(len(truth.n), "root")})
    several = {"roots": (roots, values), "one": scored(0, {"a": 0.1}), "two": scored(1, {"a": 0.1})}
    assert across_suites(several).suites == ["one", "two"]
