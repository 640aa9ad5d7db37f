"""What each token adds to the decoded text."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Pieces:
    """Cuts decoded text at token boundaries.

    Decoded alone, a token may lose its leading space (SentencePiece) or be a part of a character (byte-level BPE,
    byte fallback). Hence each is decoded behind an anchor, a letter whose text is then taken off, and the tokens of
    one character are decoded together.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], letter: Sequence[int]) -> None:
        self._decode = decode
        self._anchor = list(letter[-1:])
        self._anchor_text = decode(self._anchor) if self._anchor else ""
        if not self._anchor_text or "\ufffd" in self._anchor_text:
            self._anchor, self._anchor_text = [], ""
        self._later: dict[int, str] = {}

    def __call__(self, token_ids: Sequence[int]) -> list[str]:
        """One text a token, which joined give the decoded text.

        A token that ends inside a character has the empty text; the one that completes it has the whole character.
        """
        for token in set(token_ids) - self._later.keys():
            self._later[token] = self._text([token], first=False)
        pieces = [self._later[token] for token in token_ids]
        # Special tokens have no text: what follows them is where the text begins.
        first = next((i for i, piece in enumerate(pieces) if piece), 0)
        if token_ids:
            pieces[first] = self._text(token_ids[first : first + 1], first=True)
        place = first
        while place < len(pieces):
            if "\ufffd" in pieces[place]:
                place = self._join(token_ids, pieces, place, first)
            place += 1
        return pieces

    def _join(self, token_ids: Sequence[int], pieces: list[str], start: int, first: int) -> int:
        """Decodes the tokens from `start` together until their text ends in a whole character; where that is."""
        for end in range(start, len(pieces)):
            pieces[end] = self._text(token_ids[start : end + 1], first=start == first)
            if not pieces[end].endswith("\ufffd"):
                break
            if end + 1 < len(pieces):
                pieces[end] = ""
        return end

    def _text(self, token_ids: Sequence[int], first: bool) -> str:
        if first:
            return self._decode(token_ids)
        return self._decode([*self._anchor, *token_ids]).removeprefix(self._anchor_text)
