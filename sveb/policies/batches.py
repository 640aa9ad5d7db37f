"""How many sequences are read together: batches of like lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sveb.common.prefix_cover import Family

# Padded tokens a forward pass. On a CPU larger ones leave its caches: half as fast with the embedded policy.
FORWARD_TOKENS = {"cpu": 1024, "cuda": 16_384}
_WIDEST = 4  # times these are the tokens whose keys and values one pass may hold, those of the beginning included


def batches(sequences: Sequence[Sequence[int]], device: str, shared: int = 0) -> Iterator[list[int]]:
    """The places of the sequences, a batch at a time, longest first. Their first `shared` tokens are not read here."""
    order = sorted(range(len(sequences)), key=lambda place: -len(sequences[place]))
    while order:
        longest = max(1, len(sequences[order[0]]))
        most = min(FORWARD_TOKENS[device] // (longest - shared), _WIDEST * FORWARD_TOKENS[device] // longest)
        yield order[: max(1, most)]
        order = order[max(1, most) :]


def family_batches(sequences: Sequence[Sequence[int]], family: Family, device: str) -> Iterator[list[int]]:
    """The places of a family's sequences, a batch at a time, longest first."""
    for batch in batches([sequences[place] for place in family.places], device, family.shared):
        yield [family.places[index] for index in batch]
