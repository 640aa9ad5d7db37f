"""Where a response may be cut: token offsets at the ends of steps.

Every offset is a token boundary at which decoding the tokens before it gives whole characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Splitter = Callable[[Sequence[str]], list[int]]


def lines(pieces: Sequence[str]) -> list[int]:
    """Ends of lines: after each token (or run of tokens) that holds a newline. `pieces` are decoded tokens."""
    last = len(pieces) - 1
    return [i + 1 for i, piece in enumerate(pieces) if "\n" in piece and (i == last or "\n" not in pieces[i + 1])]


SPLITTERS: dict[str, Splitter] = {"lines": lines}


def step_ends(pieces: Sequence[str], splitter: Splitter, min_tokens: int) -> list[int]:
    """Offsets (ascending, each in 1..len(pieces)) at the ends of steps of at least `min_tokens` tokens.

    A shorter step joins the one after it. A boundary inside a multi-byte character is none.
    """
    ends: list[int] = []
    for end in splitter(pieces):
        if end - (ends[-1] if ends else 0) >= min_tokens and not pieces[end - 1].endswith("\ufffd"):
            ends.append(end)
    return ends
