"""Numca: the numbers that a response has written are milestones that it has passed.

Chen et al., "Hista and Numca: Estimate State Value Effectively for LLM Reinforcement Learning" (arXiv 2605.29782).

The state after k numbers is the set of the distinct ones among them. Each context rollout adds its return once to
every state that it passes, and a state's value is the mean of what it got. A number that ends fewer than `min_gap`
characters before the next one ends takes effect only where the next one does, chained from the end, so that a dense
span of numbers is passed as a whole and the sets inside it are not states. In responses shorter than a few hundred
characters all numbers are one such span: there use `min_gap=0` (`--set min_gap=0`), which makes
every number a step of its own.

What comes after a prefix is not known, and its last number is not an answer. In `official` a span at the prefix's end
that the next number could still join is pending: it is not passed. In `backoff` the prefix's own state is the set of
all numbers in it.

The published method scores responses that are in its own table, with their outcome. Where the suite's protocol shows
the rollout that a prefix was cut from, `official` does that: it takes the milestones of that whole response, and the
prefix's is the last one that takes effect within it. Elsewhere a set that no rollout passed is worth 0, which cannot
occur as published. `backoff` never looks at what comes after the prefix.
"""

from __future__ import annotations

import re
from collections import defaultdict
from math import inf
from typing import Literal

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.contract.problem import Group, Problem, State, Values
from sveb.estimators.registry import builtin

Milestone = frozenset[str]

_DIGITS = re.compile(r"\d+")
_DECIMAL = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_NUMBER = re.compile(rf"{_DECIMAL}(?:/{_DECIMAL})?")


def numbers(text: str, variant: str = "official") -> list[tuple[str, int]]:
    """The numbers of a text in order, each with the offset at which it ends.

    official: runs of digits. backoff: 1,000 is 1000; 3.14 is one number; so is a fraction 3/4.
    """
    pattern = _DIGITS if variant == "official" else _NUMBER
    found = ((match.group(), match.end()) for match in pattern.finditer(text))
    return [(name if variant == "official" else name.replace(",", ""), end) for name, end in found]


def positions(ends: list[int], min_gap: int) -> list[int]:
    """Where each number takes effect: at its own end, or at the next one's position if that ends too soon after."""
    moved = list(ends)
    for i in range(len(ends) - 2, -1, -1):
        if ends[i + 1] - ends[i] < min_gap:
            moved[i] = moved[i + 1]
    return moved


def milestones(found: list[tuple[str, int]], min_gap: int, reached: float = inf) -> list[Milestone]:
    """The distinct states that a text with these numbers passes within its first `reached` characters, in order.

    The first is the empty set.
    """
    at = positions([end for _, end in found], min_gap)
    passed: list[Milestone] = [frozenset()]
    state: Milestone = frozenset()
    for i, (name, _) in enumerate(found):
        if at[i] > reached:
            break
        state |= {name}
        ends_its_span = i + 1 == len(found) or at[i + 1] != at[i]
        if ends_its_span and state != passed[-1]:
            passed.append(state)
    return passed


@builtin(
    budget=("group",),
    cost="free",
    unfaithful={
        "official": "The published method scores responses that are in its own table, with their outcome. This suite "
        "hides the response that a state was cut from, so a set of numbers that no other response passed is worth 0."
    },
)
class Numca(Estimator):
    """Numbers as milestones: mean return of those who passed them (dense numbers: --set min_gap=0)."""

    def __init__(
        self,
        variant: Literal["official", "backoff"] = "backoff",
        kappa: float = 2.0,
        min_gap: int = 50,
        drop_last: bool = True,
    ) -> None:
        self.variant = variant
        self.kappa = kappa
        self.min_gap = min_gap
        self.drop_last = drop_last

    def predict(self, problem: Problem) -> Values:
        sums, counts = problem.remember(f"{self}.table", lambda: self.table(problem.group))
        value = self._official if self.variant == "official" else self._backoff
        return np.array([value(self._passed(state, problem.group), sums, counts) for state in problem.states])

    def _passed(self, state: State, group: Group) -> list[Milestone]:
        if self.variant == "official" and state.own_rollout is not None:
            found = numbers(group.texts[state.own_rollout], self.variant)
            return milestones(found[:-1] if self.drop_last else found, self.min_gap, len(state.text))
        found, length = numbers(state.text, self.variant), len(state.text)
        if self.variant == "official":  # the next number ends after the prefix, at the earliest one character later
            return milestones([*found, ("", length + 1)], self.min_gap, length)
        return milestones(found, self.min_gap)

    def table(self, group: Group) -> tuple[dict[Milestone, float], dict[Milestone, int]]:
        """Sum of returns and number of context rollouts of every state that any of them passes."""
        sums: dict[Milestone, float] = defaultdict(float)
        counts: dict[Milestone, int] = defaultdict(int)
        for text, return_ in zip(group.texts, group.returns, strict=True):
            found = numbers(text, self.variant)
            # The last number of a finished response is its answer, not a milestone.
            for state in milestones(found[:-1] if self.drop_last else found, self.min_gap):
                sums[state] += float(return_)
                counts[state] += 1
        return sums, counts

    def _official(self, passed: list[Milestone], sums: dict[Milestone, float], counts: dict[Milestone, int]) -> float:
        """Mean return of the rollouts that passed the state; 0 where none did."""
        count = counts.get(passed[-1], 0)
        return sums[passed[-1]] / count if count else 0.0

    def _backoff(self, passed: list[Milestone], sums: dict[Milestone, float], counts: dict[Milestone, int]) -> float:
        """Along the prefix's own states: each that rollouts passed is shrunk towards the last such one before it."""
        if not counts:
            return float("nan")
        value = sums[passed[0]] / counts[passed[0]]
        for state in passed[1:]:
            if count := counts.get(state, 0):
                value = (sums[state] + self.kappa * value) / (count + self.kappa)
        return value
