"""The plan gives every continuation its own seed, and says what differs from another plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.generate.plan import PRESETS, Counts, SeedLayout, counts_for, differences

small = st.integers(1, 4)


def all_seeds(layout: SeedLayout, counts: Counts) -> np.ndarray:
    """Every seed that a generation with these counts could use."""
    found = []
    for problem in range(counts.test_problems + counts.train_problems):
        is_test = problem < counts.test_problems
        found.append(layout.rollouts(problem, 0, counts.group + counts.probes if is_test else counts.train_group))
        if is_test:
            found += [layout.siblings(problem, parent) for parent in range(counts.sibling_parents)]
            states = 1 + counts.probes * counts.path_states + counts.sibling_parents * counts.siblings
            for state in range(states):
                found += [layout.truth(problem, state), layout.draws(problem, state), layout.audit(problem, state)]
    return np.concatenate(found)


@settings(max_examples=60)
@given(st.builds(Counts, *[small] * 11), st.integers(0, 2**40))
def test_no_two_continuations_of_a_plan_share_a_seed(counts: Counts, seed: int) -> None:
    found = all_seeds(SeedLayout(counts, seed), counts)
    assert len(np.unique(found)) == len(found)


def test_no_two_continuations_of_the_embedded_suite_share_a_seed() -> None:
    counts = PRESETS["standard"]
    found = all_seeds(SeedLayout(counts, 0), counts)
    assert len(found) > 300_000
    assert len(np.unique(found)) == len(found)


def test_a_plan_with_more_continuations_than_seeds_is_refused() -> None:
    with pytest.raises(SvebError, match=r"exceed the 2\^32 distinct seeds"):
        SeedLayout(counts_for("full", {"test_problems": 10_000_000}), 0)


def test_counts_below_their_minimum_are_refused() -> None:
    with pytest.raises(SvebError, match="continuations is 0: expected at least 1"):
        counts_for("demo", {"continuations": 0})
    with pytest.raises(SvebError, match="did you mean demo"):
        counts_for("dmo", {})


def test_differences_name_the_setting_and_both_values() -> None:
    assert differences({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4, "d": 3}}) == [
        "b.c: 2 in the folder, 4 asked for"
    ]
