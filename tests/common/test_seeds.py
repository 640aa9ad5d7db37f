"""No two continuations share a seed: equal seeds give correlated samples even on different prefixes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.common.seeds import SPACE, rng, seeds


@given(st.integers(0, 2**63), st.lists(st.integers(0, SPACE - 1), min_size=2, max_size=200, unique=True))
def test_distinct_numbers_get_distinct_seeds(suite_seed: int, numbers: list[int]) -> None:
    assert len(set(seeds(suite_seed, numbers).tolist())) == len(numbers)


def test_a_long_run_of_numbers_has_no_collision_where_a_hash_would_have_a_hundred() -> None:
    found = seeds(7, np.arange(1_000_000))
    assert len(np.unique(found)) == 1_000_000


def test_seeds_look_uniform_in_both_halves() -> None:
    found = seeds(3, np.arange(65_536))
    for half in (found >> 16, found & 0xFFFF):
        counts = np.bincount(half // 4096, minlength=16)
        chi2 = ((counts - 4096) ** 2 / 4096).sum()
        assert chi2 < 45  # 15 degrees of freedom: p = 1e-4 at 44.3


def test_neighbouring_suite_seeds_share_no_more_than_chance() -> None:
    a, b = seeds(1, np.arange(100_000)), seeds(2, np.arange(100_000))
    assert len(np.intersect1d(a, b)) < 20  # expected 100000^2 / 2^32 = 2.3


def test_a_number_beyond_the_space_is_refused() -> None:
    with pytest.raises(ValueError, match="below"):
        seeds(0, [SPACE])


def test_named_generators_are_independent_of_each_other_and_repeatable() -> None:
    assert rng(0, "path", "a").integers(2**62) == rng(0, "path", "a").integers(2**62)
    assert rng(0, "path", "a").integers(2**62) != rng(0, "path", "b").integers(2**62)
    assert rng(0, "ab", "c").integers(2**62) != rng(0, "a", "bc").integers(2**62)
