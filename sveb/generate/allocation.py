"""How many continuations each state's truth gets, from what a few draws tell (`--truth adaptive`).

The pilot are the draws that every suite has for sale. They share no continuation with the truth, so that given them the
truth of a state is an ordinary mean of n_i fresh returns: unbiased, with an unbiased variance, whatever the pilot made
of n_i. (Pooled with the pilot it would be biased: a pilot that is all zeros by chance gets few continuations that
could correct it.)

What is spent are tokens: as many, by the pilot's lengths, as K continuations of every state take. What is gained:

- a smaller mean standard error: Neyman's allocation for unequal costs, more where p (1 - p) is large and tokens few;
- more pairs of consecutive steps and of siblings whose order the truth settles (metrics.md, `order_coverage`): more
  where a pair is likely to become resolved, none for pairs that no budget would settle or that are settled anyway.

A state's p has a Beta posterior given its draws, under a prior fitted to all states.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sveb.common.beta_binomial import total_log_likelihood
from sveb.common.posterior import RESOLVED, probability_greater_binary

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# Numbers of continuations to choose from, as multiples of K: the least is the floor, the greatest the cap.
LEVELS = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1, 3 / 2, 2, 3, 4)
NOTE = "adaptive: continuations allocated by the draws, at the tokens of K for every state; n_continuations differ"

# What resolving all pairs is worth, against the mean standard error relative to K's.
_STEPS, _SIBLINGS = 0.5, 0.5
_LEAST = 2  # below that a mean has no standard error
_SWEEPS, _HALVINGS = 4, 24


@dataclass(frozen=True, eq=False)
class Pilot:
    """What the draws of n states told: `successes` (n,), the rounded sum of returns, of `draws` (n,) graded ones.

    `tokens` (n,): mean length of a continuation. `steps`, `siblings` (m, 2) index states whose order is scored.
    """

    successes: IntArray
    draws: IntArray
    tokens: FloatArray
    steps: IntArray
    siblings: IntArray


def room(continuations: int) -> int:
    """The most continuations that one state can get where the mean budget is `continuations`."""
    return int(_levels(continuations)[-1])


def allocate(pilot: Pilot, continuations: int) -> IntArray:
    """Continuations of each state; (n,), in [max(2, K / 8), 4 K], about K a state in tokens; for K > 1 never more.

    Deterministic. Each state takes the number that gains most at a price a token, given what the states that it is
    paired with took; the price is found by bisection, so that the budget is spent.
    """
    if not len(pilot.draws):
        return np.zeros(0, dtype=np.int64)
    levels = _levels(continuations)
    wins, losses = _posterior(pilot)
    deviation = np.sqrt(wins * losses / ((wins + losses) * (wins + losses + 1)))  # root of the expected p (1 - p)
    precision = -deviation[:, None] * np.sqrt(continuations / levels) / deviation.sum()
    pairs = _Pairs.of(pilot, levels, wins, losses)
    cost = pilot.tokens[:, None] * levels
    budget = continuations * float(pilot.tokens.sum())

    rows, odd = np.arange(len(cost)), np.arange(len(cost)) % 2 == 1
    best = np.zeros(len(cost), dtype=np.int64)
    choice = best + int(np.searchsorted(levels, continuations))
    low, high = 1e-4 / budget, 1e4 / budget
    for _ in range(_HALVINGS):
        price = float(np.sqrt(low * high))
        for sweep in range(_SWEEPS):
            # Neighbours, of whom one is odd and one even, must not change places at once for ever.
            gain = precision + pairs.gain(choice) - price * cost
            choice = np.where(odd == (sweep % 2 == 1), gain.argmax(axis=1), choice)
        if cost[rows, choice].sum() > budget:
            low = price
        else:
            high, best = price, choice
    return levels[best]


def _levels(continuations: int) -> IntArray:
    return np.unique([max(_LEAST, round(continuations * level)) for level in LEVELS]).astype(np.int64)


def _posterior(pilot: Pilot) -> tuple[FloatArray, FloatArray]:
    """Beta parameters of each state's p; (n,) both."""
    a, b = _prior(pilot.successes, pilot.draws)
    return np.asarray(pilot.successes + a), np.asarray(pilot.draws - pilot.successes + b)


def _prior(successes: IntArray, draws: IntArray) -> tuple[float, float]:
    """Beta(a, b) of greatest marginal likelihood on a grid; values of states crowd at 0 and 1."""
    grid = np.geomspace(0.05, 20, 40)
    a, b = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    best = int(total_log_likelihood(successes, draws, a, b).argmax())
    return float(a[best]), float(b[best])


@dataclass(frozen=True, eq=False)
class _Pairs:
    """All pairs, each from both sides and sorted by `state`; `table` holds what each level of `state` is worth.

    Row `place + l` of `table` (., levels) is the probability that the pair becomes resolved where the other one takes
    level l.
    """

    state: IntArray
    other: IntArray
    weight: FloatArray
    place: IntArray
    table: FloatArray
    n_states: int

    @classmethod
    def of(cls, pilot: Pilot, levels: IntArray, wins: FloatArray, losses: FloatArray) -> _Pairs:
        kinds = [
            (pairs, weight) for pairs, weight in ((pilot.steps, _STEPS), (pilot.siblings, _SIBLINGS)) if len(pairs)
        ]
        both = [np.empty((0, 2), np.int64), *(side for pairs, _ in kinds for side in (pairs, pairs[:, ::-1]))]
        edges = np.concatenate(both)
        weight = np.concatenate([np.empty(0), *(np.full(2 * len(pairs), worth / len(pairs)) for pairs, worth in kinds)])
        order = np.argsort(edges[:, 0], kind="stable")
        told = np.stack([pilot.successes, pilot.draws])
        _, first, code = np.unique(told, axis=1, return_index=True, return_inverse=True)
        code = code.ravel()
        state, other = edges[order, 0], edges[order, 1]
        place = (code[state] * len(first) + code[other]) * len(levels)
        table = _resolution(levels, wins[first][:, None], losses[first][:, None])
        return cls(state, other, weight[order], place, table.reshape(-1, len(levels)), len(wins))

    def gain(self, choice: IntArray) -> FloatArray:
        """Weighted pairs that each level of each state is expected to resolve; (n, levels)."""
        found = np.zeros((self.n_states, self.table.shape[1]))
        if len(self.state):
            shares = self.table[self.place + choice[self.other]] * self.weight[:, None]
            starts = np.flatnonzero(np.diff(self.state, prepend=-1))
            found[self.state[starts]] = np.add.reduceat(shares, starts)
        return found


def _resolution(levels: IntArray, wins: FloatArray, losses: FloatArray) -> FloatArray:
    """Probability that a pair becomes resolved: (u, u, levels of the other, levels of the one).

    `wins`, `losses` (u, 1) are the Beta posteriors of states whose draws told different things. Exact: the predictive
    distribution of each one's successes at each level, times which of them settle the order.
    """
    future = [_predictive(level, wins, losses) for level in levels.tolist()]
    table = np.empty((len(wins), len(wins), len(levels), len(levels)))
    for i, one in enumerate(levels.tolist()):
        for j, other in enumerate(levels[: i + 1].tolist()):
            found = future[i] @ _resolved(one, other) @ future[j].T
            table[:, :, j, i], table[:, :, i, j] = found, found.T
    return table


def _predictive(n: int, wins: FloatArray, losses: FloatArray) -> FloatArray:
    """Probabilities of 0..n successes under each Beta posterior (u, 1): (u, n + 1)."""
    from scipy.special import betaln

    k = np.arange(n + 1)
    ways = -np.log(n + 1) - betaln(k + 1, n - k + 1)
    return np.asarray(np.exp(ways + betaln(k + wins, n - k + losses) - betaln(wins, losses)))


@cache
def _resolved(one: int, other: int) -> FloatArray:
    """1 where so many successes of `one` draws and of `other` draws settle the order, else 0: (one + 1, other + 1)."""
    successes = np.concatenate([np.arange(one + 1), np.arange(other + 1)])
    q = probability_greater_binary(successes, np.repeat([one, other], [one + 1, other + 1]))[: one + 1, one + 1 :]
    return np.asarray(np.maximum(q, 1 - q) > RESOLVED, dtype=np.float64)
