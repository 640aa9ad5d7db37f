"""Joint ranks as a page shows them: an interval, the letter of a tie group, and a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sveb.runs.figures import BoardFigures, JointRank


@dataclass(frozen=True)
class ShownRank:
    """The rank as an interval `low` to `high`, right for all entries at once with 95 % confidence.

    `group` is the letter of a tie group, None for an entry that is separated from all others. `note` says it in words.
    """

    low: int
    high: int
    group: str | None
    note: str


def shown_ranks(board: BoardFigures, titles: Mapping[str, str]) -> dict[str, ShownRank]:
    """By entry that has a joint rank; `titles` are those of the entries."""
    ranks = {name: entry.rank for name, entry in board.entries.items() if entry.rank is not None}
    groups = [rank.tie_group for rank in ranks.values()]
    shared = sorted({group for group in groups if groups.count(group) > 1})
    found = {}
    for name, rank in ranks.items():
        place = rank.low if rank.low == rank.high else f"{rank.low} to {rank.high}"
        letter = _letter(shared.index(rank.tie_group)) if rank.tie_group in shared else None
        note = f"rank {place} of {len(ranks)}, all ranks at once with 95 % confidence; "
        found[name] = ShownRank(rank.low, rank.high, letter, note + _separation(rank, titles, board.n_problems))
    return found


def _separation(rank: JointRank, titles: Mapping[str, str], problems: int) -> str:
    """How the entry stands to those that it is not separated from, and what would separate it from the nearest."""
    if rank.nearest is None:
        return "separated from every other entry"
    text = f"not separated from {rank.tied} {'other' if rank.tied == 1 else 'others'}"
    nearest = f"the nearest, \u2068{titles[rank.nearest]}\u2069"  # its direction marks do not reach beyond it
    if math.isfinite(rank.problems_needed):
        return (
            f"{text}; from {nearest}, about {_round(rank.problems_needed):,} problems like these would separate it "
            f"(here are {problems:,})"
        )
    return f"{text}; nothing here tells it from {nearest}"


def _round(count: float) -> int:
    """To two significant digits: the figure is a projection."""
    return int(float(f"{count:.2g}"))


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
