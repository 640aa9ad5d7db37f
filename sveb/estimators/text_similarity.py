"""Rollouts with similar text: mean return weighted by the cosine of word n-gram counts.

The vector-space model of text (Salton, Wong and Yang, CACM 18, 1975) in place of hidden states: what does `hista` know
that the words do not show? A state of n words is compared with the first n words of each rollout.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin

Gram = tuple[str, ...]

_WORD = re.compile(r"\w+|[^\w\s]")


@builtin(budget=("group",), cost="free")
class TextSimilarity(Estimator):
    """Mean return weighted by the likeness of words so far: the cheap control for hista."""

    def __init__(self, n: int = 2) -> None:
        self.n = n

    def predict(self, problem: Problem) -> Values:
        if self.n < 1:
            raise SvebError(f"text_similarity: n is {self.n}, expected the length of the longest n-gram, at least 1")
        group = problem.group
        if not len(group):
            return np.full(len(problem.states), np.nan)
        rollouts = problem.remember(f"{self}.rollouts", lambda: [Grams.of(text, self.n) for text in group.texts])
        values = []
        for state in problem.states:
            mine = Grams.of(state.text, self.n)
            weights = np.array([mine.cosine(rollout) for rollout in rollouts])
            # No words yet, or none in common with any rollout: all rollouts have the same weight.
            values.append(np.average(group.returns, weights=weights if weights.any() else None))
        return np.array(values)


@dataclass(frozen=True)
class Grams:
    """All runs of 1 to n words of a text, in the order in which they end.

    `ends` is the number of words at which each ends, `squares` the squared norm of the counts of all up to it.
    """

    grams: list[Gram]
    ends: list[int]
    squares: list[int]
    counts: Counter[Gram]
    n_words: int

    @classmethod
    def of(cls, text: str, n: int) -> Grams:
        words = _WORD.findall(text)
        grams: list[Gram] = []
        ends, squares, square = [], [], 0
        counts: Counter[Gram] = Counter()
        for end in range(1, len(words) + 1):
            for size in range(1, min(n, end) + 1):
                gram = tuple(words[end - size : end])
                square += 2 * counts[gram] + 1
                counts[gram] += 1
                grams.append(gram)
                ends.append(end)
                squares.append(square)
        return cls(grams, ends, squares, counts, len(words))

    def cosine(self, other: Grams) -> float:
        """Cosine in [0, 1] of the counts of this text and of `other`'s first as many words; 0 where one is empty."""
        upto = bisect_right(other.ends, self.n_words)
        if not upto:
            return 0.0
        product = sum(self.counts.get(gram, 0) for gram in other.grams[:upto])
        return product / math.sqrt(self.squares[-1] * other.squares[upto - 1])
