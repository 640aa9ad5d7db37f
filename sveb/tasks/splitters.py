"""Where a response may be cut: token offsets at the ends of steps.

A splitter takes the pieces of a response: one text per token. Joined, they give the decoded response. A token that ends
inside a multi-byte character has the empty text, and the token that completes it has the character
(`TextCodec.pieces`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from sveb.common.errors import SvebError, unknown_name
from sveb.tasks.sentences import paragraph_ends, sentence_ends

Splitter = Callable[[Sequence[str]], list[int]]

_EVERY = re.compile(r"tokens:([1-9]\d*)")
_WHITESPACE = re.compile(r"\s+")


def lines(pieces: Sequence[str]) -> list[int]:
    """Ends of lines: after each token (or run of tokens) that contains a newline."""
    last = len(pieces) - 1
    return [i + 1 for i, piece in enumerate(pieces) if "\n" in piece and (i == last or "\n" not in pieces[i + 1])]


def sentences(pieces: Sequence[str]) -> list[int]:
    """Ends of sentences and of lines, never inside a formula or a code fence."""
    return _at(pieces, sentence_ends("".join(pieces)))


def paragraphs(pieces: Sequence[str]) -> list[int]:
    """Blank lines, never inside a formula or a code fence."""
    return _at(pieces, paragraph_ends("".join(pieces)))


def space(pieces: Sequence[str]) -> list[int]:
    """Every run of whitespace: the places at which the published protocol may cut."""
    return _at(pieces, (match.start() for match in _WHITESPACE.finditer("".join(pieces))))


def tokens(every: int) -> Splitter:
    """Every `every` tokens. A cut inside a character moves to its end."""

    def split(pieces: Sequence[str]) -> list[int]:
        ends: list[int] = []
        for end in range(every, len(pieces) + 1, every):
            while end <= len(pieces) and not _whole(pieces, end):
                end += 1
            if end <= len(pieces) and (not ends or end > ends[-1]):
                ends.append(end)
        return ends

    return split


SPLITTERS: dict[str, Splitter] = {"lines": lines, "sentences": sentences, "paragraphs": paragraphs, "space": space}


def find_splitter(name: str) -> Splitter:
    """The splitter that a task.toml names: one of SPLITTERS, or `tokens:N`."""
    if match := _EVERY.fullmatch(name):
        return tokens(int(match[1]))
    if name.startswith("tokens:"):
        raise SvebError(f"step splitter {name!r}: expected tokens:N with N at least 1, as in tokens:64")
    if name not in SPLITTERS:
        raise unknown_name("step splitter", name, [*SPLITTERS, "tokens:N"])
    return SPLITTERS[name]


def step_ends(pieces: Sequence[str], splitter: Splitter, min_tokens: int) -> list[int]:
    """Offsets (ascending, each in 1..len(pieces)) at the ends of steps of at least `min_tokens` tokens.

    A shorter step is joined with the next one. There is never a boundary inside a multi-byte character.
    """
    ends: list[int] = []
    for end in splitter(pieces):
        if end - (ends[-1] if ends else 0) >= min_tokens and _whole(pieces, end):
            ends.append(end)
    return ends


def _whole(pieces: Sequence[str], end: int) -> bool:
    """Whether the tokens before `end` decode to whole characters."""
    return pieces[end - 1] != "" and not pieces[end - 1].endswith("\ufffd")


def _at(pieces: Sequence[str], places: Iterable[int]) -> list[int]:
    """Token offsets at these text positions, or after only whitespace there. Positions inside a token are dropped."""
    text, after = "".join(pieces), list(accumulate(map(len, pieces)))
    found: list[int] = []
    for place in places:
        token = bisect_left(after, place)
        if token < len(pieces) and (after[token] == place or text[place : after[token]].isspace()):
            end = token + 1
            if not found or end > found[-1]:
                found.append(end)
    return found
