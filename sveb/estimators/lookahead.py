"""One step ahead: a free estimate of sampled next steps, corrected by whole continuations.

V(s) is the mean of V(s') over next steps s', so m sampled steps turn an estimator f of s' into one of s that has seen
what the policy does next (the one-step expansion of Markov chain estimators: Sutton and Barto, "Reinforcement
Learning", 2018, chapter 8). It has the bias of f. k whole continuations have no bias, but noise; f at their own first
steps predicts part of the noise and is subtracted as a control variate (Glasserman, "Monte Carlo Methods in Financial
Engineering", 2003, section 4.1):

    free      = mean of f over all m + k first steps
    corrected = mean of R_j - b (f_j - free) over the k continuations, b = cov(R, f) / var(f) in [0, 1]
    V         = (n free + k corrected) / (n + k)

b is fitted per problem. n is the number of continuations that the free value is worth; the most likely n is taken, as
in `mc_shrunk`. Both use the continuations of the problem's states so far. A step that ends the response counts with its
return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Continuation, Problem, Values
from sveb.estimators.group_mean import GroupMean
from sveb.estimators.hista import Hista
from sveb.estimators.kernel import Kernel
from sveb.estimators.mc_shrunk import LEAST, shrunk
from sveb.estimators.numca import Numca
from sveb.estimators.prefix_trie import PrefixTrie
from sveb.estimators.probe import Probe
from sveb.estimators.probe_group import ProbeGroup
from sveb.estimators.registry import builtin
from sveb.estimators.text_similarity import TextSimilarity

_BASES: dict[str, type[Estimator]] = {
    "group_mean": GroupMean,
    "prefix_trie": PrefixTrie,
    "text_similarity": TextSimilarity,
    "numca": Numca,
    "hista": Hista,
    "kernel": Kernel,
    "probe": Probe,
    "probe_group": ProbeGroup,
}


@builtin(budget=("group", "extra_rollouts"), cost="samples")
class Lookahead(Estimator):
    """Mean of a free estimate over m sampled next steps, corrected by k fresh continuations."""

    def __init__(
        self,
        k: int = 4,
        m: int = 8,
        base: Literal[
            "group_mean", "prefix_trie", "text_similarity", "numca", "hista", "kernel", "probe", "probe_group"
        ] = "numca",
    ) -> None:
        self.k = k
        self.m = m
        self.base = base

    def fit(self, train: Sequence[Problem]) -> Lookahead:
        """Sets base_, the free estimator, fitted."""
        if self.m < 1 or self.k < 0:
            raise SvebError(f"lookahead: m is {self.m} and k {self.k}, expected m of at least 1 and k of at least 0")
        self.base_ = _BASES[self.base]()
        self._lend()
        self.base_.fit(train)
        return self

    def _lend(self) -> None:
        """Gives the base this estimator's access to the harness, which a pickled base does not have."""
        self.base_._policy, self.base_._rng = self.policy, self.rng

    def predict(self, problem: Problem) -> Values:
        steps = self.policy.sample_steps(problem.states, self.m)
        whole = self.policy.sample(problem.states, self.k) if self.k else [[] for _ in problem.states]
        first = self._values(problem, [a + b for a, b in zip(steps, whole, strict=True)])
        returns = np.array([[one.return_ for one in row] for row in whole])
        return combined(first, returns, problem.remember(f"{self}.so_far", SoFar))

    def _values(self, problem: Problem, sampled: list[list[Continuation]]) -> Values:
        """The base's values (n_states, m + k) after each first step."""
        self._lend()
        after = [one.after_step for row in sampled for one in row]
        states = [state for state in after if state is not None]
        found = np.array([one.return_ for row in sampled for one in row])
        if states:
            found[[state is not None for state in after]] = np.asarray(
                self.base_.predict(problem.with_states(states)), dtype=np.float64
            )
        return found.reshape(len(sampled), -1)


@dataclass
class SoFar:
    """What the continuations of a problem's shorter states have shown, which `combined` adds to.

    `squares` and `products` are the sums behind var(f) and cov(R, f); `worths` is `so_far` of `shrunk`.
    """

    squares: float = 0.0
    products: float = 0.0
    worths: list[Values] = field(default_factory=list)


def combined(first: Values, returns: Values, so_far: SoFar) -> Values:
    """Values from f at first steps (n_states, m + k), the last k those of continuations with `returns` (n_states, k).

    Continuations or steps that were not valued or graded are left out; NaN if none is left.
    """
    free = _mean(first)
    k = returns.shape[1]
    if not k:
        return free
    f = first[:, first.shape[1] - k :]
    graded = ~np.isnan(returns) & ~np.isnan(f)
    count = graded.sum(axis=1)
    of_f = np.where(graded, f - free[:, None], 0.0)
    of_r = np.where(graded, returns - free[:, None], 0.0)
    so_far.squares += float((of_f**2).sum())
    so_far.products += float((of_f * of_r).sum())
    b = np.clip(so_far.products / so_far.squares, 0.0, 1.0) if so_far.squares > 0 else 0.0
    sums = np.where(graded, returns, 0.0).sum(axis=1) - b * of_f.sum(axis=1)
    known = ~np.isnan(free)
    values = np.full(len(free), np.nan)
    values[known] = shrunk(
        np.clip(free[known], LEAST, 1 - LEAST), np.clip(sums, 0.0, count)[known], count[known].astype(np.float64),
        so_far.worths,
    )  # fmt: skip
    return values


def _mean(rows: Values) -> Values:
    known = ~np.isnan(rows)
    means = np.full(len(rows), np.nan)
    np.divide(np.where(known, rows, 0.0).sum(axis=1), known.sum(axis=1), out=means, where=known.any(axis=1))
    return means
