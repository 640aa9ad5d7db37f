"""Which sequences are read together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sveb.common.prefix_cover import Family, families
from sveb.policies.batches import FORWARD_TOKENS, family_batches

TAILS = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=12)


def test_short_sequences_share_nothing() -> None:
    assert families([[1, 2], [1, 2, 3], [1]]) == [Family([0, 1, 2], 0)]
    assert families([]) == []


@given(TAILS)
def test_every_sequence_is_in_one_family_and_begins_with_what_its_family_shares(tails: list[list[int]]) -> None:
    prompts = [list(range(200)), list(range(1, 201))]
    sequences = [[*prompts[place % 2], *tail] for place, tail in enumerate(tails)] + [[9], [8, 9]]
    found = families(sequences)
    assert sorted(place for family in found for place in family.places) == list(range(len(sequences)))
    for family in found:
        beginnings = {tuple(sequences[place][: family.shared]) for place in family.places}
        assert len(beginnings) == 1
        # Each reads at least one token of its own.
        assert all(len(sequences[place]) > family.shared for place in family.places)
        assert family.shared == 0 or (family.shared >= 191 and len(family.places) > 1)
        together = list(family_batches(sequences, family, "cpu"))
        assert sorted(place for batch in together for place in batch) == sorted(family.places)
        for batch in together:
            width = max(len(sequences[place]) for place in batch) - family.shared
            assert len(batch) == 1 or len(batch) * width <= FORWARD_TOKENS["cpu"]
