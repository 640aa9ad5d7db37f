"""A text in the making, as a list of sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

# No comma, no digit and none of the words that an instruction may forbid.
_SENTENCES = (
    "many people like to hear about {}",
    "they often talk with others about {}",
    "you can learn much from {} in time",
    "few tales about {} make us wait",
    "some kids still dream about {} today",
    "we keep good notes about {} for years",
)
_FILLER = (
    "because", "life", "goes", "on", "every", "single", "day", "for", "all", "who", "care", "to", "look", "around",
    "them", "again",
)  # fmt: skip


@dataclass
class Draft:
    """A text in the making: sentences as lists of words, and how they are put together."""

    topic: str
    sentences: list[list[str]] = field(default_factory=list)
    mark: str = "."
    questions: int = 0  # so many sentences, from the start, end with a question mark
    last: str = ""  # the mark of the last sentence, if it is another one
    between: str = " "
    item: str = ""  # before each sentence; {} is its number
    head: str = ""
    tail: str = ""
    case: Callable[[str], str] = str
    banned: Callable[[str], bool] = lambda _word: False

    def __post_init__(self) -> None:
        self.resize(3)

    def ban(self, banned: Callable[[str], bool]) -> None:
        """Leaves out the words of which this is true."""
        self.banned = banned

    def resize(self, n: int) -> None:
        """Makes the text `n` sentences long."""
        del self.sentences[n:]
        for i in range(len(self.sentences), n):
            self.sentences.append(_SENTENCES[i % len(_SENTENCES)].format(self.topic).split())

    def at_least(self, words: int) -> None:
        """Adds sentences until there are as many words."""
        while len(self.text().split()) < words:
            self.resize(len(self.sentences) + 1)

    def at_most(self, size: Callable[[str], int], n: int) -> None:
        """Takes sentences away, down to one, until the size fits."""
        while len(self.sentences) > 1 and size(self.text()) > n:
            self.resize(len(self.sentences) - 1)

    def lengthen(self, place: int, words: int) -> None:
        """Makes one sentence at least as many words long."""
        kept = [word for word in self.sentences[place] if not self.banned(word)]
        filler = [word for word in _FILLER if not self.banned(word)]
        self.sentences[place][3:3] = filler[: max(0, words - len(kept))]

    def put(self, *words: str) -> None:
        """Puts words into the sentences in turn, neither first nor last."""
        for i, word in enumerate(words):
            self.sentences[i % len(self.sentences)].insert(2, word)

    def text(self) -> str:
        """The whole text."""
        rows = []
        for i, sentence in enumerate(self.sentences):
            words = " ".join(word for word in sentence if not self.banned(word))
            mark = "?" if i < self.questions else self.mark
            if i == len(self.sentences) - 1 and self.last:
                mark = self.last
            rows.append(f"{self.item.format(i + 1)}{words[:1].upper()}{words[1:]}{mark}")
        return self.case(self.head + self.between.join(rows) + self.tail)
