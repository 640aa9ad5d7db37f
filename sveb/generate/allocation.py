"""Adaptive truth (`--truth adaptive`): the draws of a state decide how many continuations its truth gets.

The draws are the continuations that estimators may buy. They share no continuation with the truth. So, given the draws,
the truth of a state is an ordinary mean of n_i fresh returns: it is unbiased and so is its variance, whatever n_i the
draws have led to. (A mean over draws and truth together would be biased: a state whose draws are all zeros by chance
would get few continuations to correct them.)

The budget is in tokens: as many as K continuations of every state take, by the lengths of the draws. It buys:

- a smaller mean standard error: Neyman's allocation for unequal costs gives more continuations to states with a large
  p (1 - p) and short continuations;
- more pairs of consecutive steps and of siblings whose order the truth resolves (metrics.md, `order_coverage`): more
  where a pair is likely to become resolved, none where no budget would resolve it or where it is resolved anyway.

Given its draws, p of a state has a Beta posterior. The prior is fitted to all states.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from sveb.common.beta_binomial import total_log_likelihood
from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, write_text
from sveb.common.posterior import RESOLVED, probability_greater_binary
from sveb.generate.generation import Job
from sveb.generate.state_cuts import StateRecord

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# Numbers of continuations to choose from, as multiples of K: the first is the floor, the last the cap.
LEVELS = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1, 3 / 2, 2, 3, 4)
NOTE = "adaptive: continuations allocated by the draws, at the tokens of K for every state; n_continuations differ"

# The worth of resolving all pairs, in units of the mean standard error that K continuations of every state give.
_STEPS, _SIBLINGS = 0.5, 0.5
_LEAST = 2  # a mean of fewer has no standard error
_SWEEPS, _HALVINGS = 4, 24


@dataclass(frozen=True, eq=False)
class DrawSummary:
    """What the draws of n states show. Each state has `draws` (n,) graded ones with `successes` (n,), the rounded sum
    of their returns, and `tokens` (n,), the mean length of a continuation.

    `steps`, `siblings` (m, 2): indices of the pairs of states whose order is scored.
    """

    successes: IntArray
    draws: IntArray
    tokens: FloatArray
    steps: IntArray
    siblings: IntArray


def room(continuations: int) -> int:
    """The largest number of truth continuations of one state, where the mean budget is `continuations`."""
    return int(_levels(continuations)[-1])


def allocate(seen: DrawSummary, continuations: int) -> IntArray:
    """Truth continuations of each state; (n,), in [max(2, K / 8), 4 K].

    In tokens they cost about K of every state, for K > 1 never more. Deterministic. Each state takes the number that
    gains most at a given price of a token and given the numbers of the states that it is paired with. The price is
    found by bisection, so that the budget is spent.
    """
    if not len(seen.draws):
        return np.zeros(0, dtype=np.int64)
    levels = _levels(continuations)
    wins, losses = _posterior(seen)
    deviation = np.sqrt(wins * losses / ((wins + losses) * (wins + losses + 1)))  # root of the expected p (1 - p)
    precision = -deviation[:, None] * np.sqrt(continuations / levels) / deviation.sum()
    pairs = _Pairs.of(seen, levels, wins, losses)
    cost = seen.tokens[:, None] * levels
    budget = continuations * float(seen.tokens.sum())

    rows, odd = np.arange(len(cost)), np.arange(len(cost)) % 2 == 1
    best = np.zeros(len(cost), dtype=np.int64)
    choice = best + int(np.searchsorted(levels, continuations))
    low, high = 1e-4 / budget, 1e4 / budget
    for _ in range(_HALVINGS):
        price = float(np.sqrt(low * high))
        for sweep in range(_SWEEPS):
            # Odd and even states take turns: two neighbours that change together could swap for ever.
            gain = precision + pairs.gain(choice) - price * cost
            choice = np.where(odd == (sweep % 2 == 1), gain.argmax(axis=1), choice)
        if cost[rows, choice].sum() > budget:
            low = price
        else:
            high, best = price, choice
    return levels[best]


def _levels(continuations: int) -> IntArray:
    return np.unique([max(_LEAST, round(continuations * level)) for level in LEVELS]).astype(np.int64)


def _posterior(seen: DrawSummary) -> tuple[FloatArray, FloatArray]:
    """Beta parameters of each state's p; (n,) both."""
    a, b = _prior(seen.successes, seen.draws)
    return np.asarray(seen.successes + a), np.asarray(seen.draws - seen.successes + b)


def _prior(successes: IntArray, draws: IntArray) -> tuple[float, float]:
    """Beta(a, b) with the largest marginal likelihood on a grid, which is geometric: many states are near 0 or 1."""
    grid = np.geomspace(0.05, 20, 40)
    a, b = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    best = int(total_log_likelihood(successes, draws, a, b).argmax())
    return float(a[best]), float(b[best])


@dataclass(frozen=True, eq=False)
class _Pairs:
    """All pairs, each from both sides and sorted by `state`; `table` holds the worth of each level of `state`.

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
    def of(cls, seen: DrawSummary, levels: IntArray, wins: FloatArray, losses: FloatArray) -> _Pairs:
        kinds = [(pairs, weight) for pairs, weight in ((seen.steps, _STEPS), (seen.siblings, _SIBLINGS)) if len(pairs)]
        both = [np.empty((0, 2), np.int64), *(side for pairs, _ in kinds for side in (pairs, pairs[:, ::-1]))]
        edges = np.concatenate(both)
        weight = np.concatenate([np.empty(0), *(np.full(2 * len(pairs), worth / len(pairs)) for pairs, worth in kinds)])
        order = np.argsort(edges[:, 0], kind="stable")
        results = np.stack([seen.successes, seen.draws])
        _, first, code = np.unique(results, axis=1, return_index=True, return_inverse=True)
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

    `wins`, `losses` (u, 1) are the Beta posteriors of the u different results of draws. Exact: the predictive
    distribution of each state's successes at each level, times whether these successes resolve the order.
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
    """1 where these successes in `one` and in `other` returns resolve the order, else 0: (one + 1, other + 1)."""
    successes = np.concatenate([np.arange(one + 1), np.arange(other + 1)])
    q = probability_greater_binary(successes, np.repeat([one, other], [one + 1, other + 1]))[: one + 1, one + 1 :]
    return np.asarray(np.maximum(q, 1 - q) > RESOLVED, dtype=np.float64)


def stored_allocation(job: Job, states: Sequence[StateRecord]) -> dict[str, int]:
    """Truth continuations of every state, by state_id: computed once when the draws are done, then read from work/.

    Raises SvebError if the stored ones belong to other states.
    """
    path = job.store.folder / "allocation.json"
    if not path.exists():
        shares = allocate(_summary(job, states), job.plan.counts.continuations)
        by_id = {state.state_id: int(share) for state, share in zip(states, shares, strict=True)}
        write_text(path, dump_json(by_id))
    found = read_json(path, "the numbers of truth continuations")
    if not isinstance(found, dict) or found.keys() != {state.state_id for state in states}:
        raise SvebError(f"{path} does not name this suite's states: delete it and run the same command again")
    return {str(name): int(share) for name, share in found.items()}


def _summary(job: Job, states: Sequence[StateRecord]) -> DrawSummary:
    places = {state.state_id: i for i, state in enumerate(states)}
    successes, draws = np.zeros(len(states)), np.zeros(len(states), dtype=np.int64)
    tokens, sampled = np.zeros(len(states)), np.zeros(len(states))
    for row in job.store.read("draws", ["unit_id", "return_", "n_tokens"]):
        place = places[row["unit_id"]]
        graded = [value for value in row["return_"] if value is not None]
        successes[place] += sum(graded)
        draws[place] += len(graded)
        tokens[place] += sum(row["n_tokens"])
        sampled[place] += len(row["n_tokens"])
    # One more continuation of the mean length: a state whose few draws were short must not look as if it cost nothing.
    usual = max(tokens.sum() / max(sampled.sum(), 1), 1.0)
    lengths = (tokens + usual) / (sampled + 1)
    return DrawSummary(
        np.rint(successes).astype(np.int64), draws, lengths, _steps(states, places), _siblings(states, places)
    )


def _steps(states: Sequence[StateRecord], places: dict[str, int]) -> IntArray:
    """Path states of one rollout that are one step apart, the earlier first."""
    along: dict[str | None, list[StateRecord]] = defaultdict(list)
    for state in states:
        if state.kind == "path":
            along[state.rollout_id].append(state)
    found = [
        (places[a.state_id], places[b.state_id])
        for cut in along.values()
        for ordered in [sorted(cut, key=lambda state: state.step_index)]
        for a, b in pairwise(ordered)
        if b.step_index == a.step_index + 1
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _siblings(states: Sequence[StateRecord], places: dict[str, int]) -> IntArray:
    """All pairs of states that share a parent."""
    families: dict[str, list[int]] = defaultdict(list)
    for state in states:
        if state.parent_state_id is not None:
            families[state.parent_state_id].append(places[state.state_id])
    found = [pair for family in families.values() for pair in combinations(family, 2)]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
