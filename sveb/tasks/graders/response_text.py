"""The parts of a response that an instruction can count: words, sentences, lines, list items.

docs/instruct.md defines every part. All of it takes time linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from sveb.tasks.sentences import paragraph_ends, sentence_ends

# The mark of a list item or of a heading, at the start of a line. No quantifier gives back what it took.
_MARK = re.compile(r"^[ \t]*+(?:([-*+•])|(\d{1,3})[.)]|#{1,6})[ \t]++(?=\S)", re.MULTILINE)
# Blanks, dashes and dots of omission stand between words; a hyphen, an apostrophe and a slash stand inside one.
_CHUNK = re.compile(r"(?:(?!--|\.\.)[^\s—–…])++")
_CLOSING = "\"'”’»)]*_`"


class ResponseText:
    """A response in parts. Line ends of any system become a newline; blanks at both ends do not count."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n").strip()

    @cached_property
    def unmarked(self) -> str:
        """The text without the marks of list items and headings."""
        return _MARK.sub("", self.text)

    @cached_property
    def words(self) -> list[str]:
        """The words in lower case, without the marks around them."""
        return words_of(self.text)

    @cached_property
    def sentences(self) -> list[str]:
        """The sentences; the end of a line also ends one."""
        # A small letter after a full stop continues the sentence, except in a text without any capital letter.
        upper = self.text.upper()
        is_small = upper != self.text and len(upper) == len(self.text) and not any(map(str.isupper, self.text))
        return [part for part in _parts(self.text, sentence_ends(upper if is_small else self.text)) if words_of(part)]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        return [part for part in _parts(self.text, paragraph_ends(self.text)) if words_of(part)]

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank, without blanks at both ends."""
        return [line.strip() for line in self.text.split("\n") if line.strip()]

    @cached_property
    def bullets(self) -> int:
        """The number of lines that begin with a bullet and a blank."""
        return sum(match[1] is not None for match in _MARK.finditer(self.text))

    @cached_property
    def numbers_of_items(self) -> list[int]:
        """The numbers of the items of numbered lists, in their order."""
        return [int(match[2]) for match in _MARK.finditer(self.text) if match[2]]

    @property
    def last_mark(self) -> str:
        """The last character, closing quotes, brackets and asterisks apart; empty for an empty text."""
        return last_mark(self.text)

    def count(self, word: str) -> int:
        """How often a word occurs, in any case of letters. A part of a longer word is no occurrence."""
        return len(occurrence(word).findall(self.text))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without the marks around them. Each holds a letter or a digit."""
    return [word for chunk in _CHUNK.findall(_MARK.sub("", text)) if (word := _core(chunk).casefold())]


def last_mark(text: str) -> str:
    """The last character of a text, closing quotes, brackets and asterisks apart; empty where there is none."""
    return text.rstrip().rstrip(_CLOSING)[-1:]


def occurrence(word: str) -> re.Pattern[str]:
    """Finds a word in any case of letters where no letter and no digit stands next to it."""
    return re.compile(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", re.IGNORECASE)


def _core(chunk: str) -> str:
    first = next((i for i, sign in enumerate(chunk) if sign.isalnum()), len(chunk))
    last = next((i for i in range(len(chunk), first, -1) if chunk[i - 1].isalnum()), first)
    return chunk[first:last]


def _parts(text: str, ends: Sequence[int]) -> Iterator[str]:
    start = 0
    for end in (*ends, len(text)):
        if text[start:end].strip():
            yield text[start:end].strip()
        start = end
