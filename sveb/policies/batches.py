"""How sequences are read together: batches of like lengths, and a long common beginning only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sveb.common.prefix_cover import common_length

# Padded tokens a forward pass. On a CPU larger ones leave its caches: half as fast with the embedded policy.
FORWARD_TOKENS = {"cpu": 1024, "cuda": 16_384}
_WIDEST = 4  # times these are the tokens whose keys and values one pass may hold, those of the beginning included
_LONG = 192  # tokens of a beginning that is worth it: prompts with worked examples are longer, short prompts are not


def batches(sequences: Sequence[Sequence[int]], device: str, shared: int = 0) -> Iterator[list[int]]:
    """The places of the sequences, a batch at a time, longest first. Their first `shared` tokens are not read here."""
    order = sorted(range(len(sequences)), key=lambda place: -len(sequences[place]))
    while order:
        longest = max(1, len(sequences[order[0]]))
        most = min(FORWARD_TOKENS[device] // (longest - shared), _WIDEST * FORWARD_TOKENS[device] // longest)
        yield order[: max(1, most)]
        order = order[max(1, most) :]


@dataclass(frozen=True)
class Family:
    """The places of sequences that begin with the same `shared` tokens, which are read once. 0: nothing is shared."""

    places: list[int]
    shared: int

    def batches(self, sequences: Sequence[Sequence[int]], device: str) -> Iterator[list[int]]:
        """Its places, a batch at a time, longest first."""
        for batch in batches([sequences[place] for place in self.places], device, self.shared):
            yield [self.places[index] for index in batch]


def families(sequences: Sequence[Sequence[int]]) -> list[Family]:
    """Those that share a long beginning, family by family, and the others, which share nothing.

    The last token that all members share is not read once but by each: what follows it may differ.
    """
    by_beginning: dict[tuple[int, ...], list[int]] = {}
    alone: list[int] = []
    for place, sequence in enumerate(sequences):
        if len(sequence) > _LONG:
            by_beginning.setdefault(tuple(sequence[:_LONG]), []).append(place)
        else:
            alone.append(place)
    found = []
    for places in by_beginning.values():
        if len(places) > 1:
            found.append(Family(places, common_length([sequences[place] for place in places]) - 1))
        else:
            alone += places
    return [*found, Family(sorted(alone), 0)] if alone else found


def can_share(config: Any) -> bool:
    """Whether keys and values of a beginning can be used again: not with windows, and not in recurrent layers.

    `config` is the model's configuration in `transformers`.
    """
    kinds = getattr(config.get_text_config(), "layer_types", None) or ["full_attention"]
    return set(kinds) == {"full_attention"}
