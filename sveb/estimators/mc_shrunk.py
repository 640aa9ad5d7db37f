"""Monte Carlo, shrunk towards a free estimate.

VinePPO's k continuations (arXiv 2410.01679, equation 5) as data, a free estimator's value f as prior: a state's value
has a Beta(n f, n (1 - f)) distribution, so that V = (n f + sum r) / (n + k). n, the number of rollouts that the free
value is worth, is the most likely one for the draws of the problem's states so far (beta-binomial empirical Bayes, as
in `shrunk_mean`), under a log-normal prior around 4. The prior decides where the draws cannot, which is always so for
k = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sveb.common.beta_binomial import log_likelihood
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.group_mean import GroupMean
from sveb.estimators.numca import Numca
from sveb.estimators.prefix_trie import PrefixTrie
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import by_problem
from sveb.estimators.text_similarity import TextSimilarity

_BASES: dict[str, type[Estimator]] = {
    "group_mean": GroupMean,
    "prefix_trie": PrefixTrie,
    "text_similarity": TextSimilarity,
    "numca": Numca,
}
_WORTHS = np.geomspace(0.25, 256, 31)
_PRIOR = -0.5 * np.log(_WORTHS / 4.0) ** 2
LEAST = 0.02  # a free value of 0 or 1 comes from few rollouts: it must not rule out what the draws show


@builtin(budget=("group", "extra_rollouts"), cost="samples")
class MCShrunk(Estimator):
    """Mean return of k fresh continuations, shrunk towards a free estimate by how much that is worth."""

    def __init__(
        self, k: int = 9, base: Literal["group_mean", "prefix_trie", "text_similarity", "numca"] = "numca"
    ) -> None:
        self.k = k
        self.base = base

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        draws = self.policy.draws([state for problem in problems for state in problem.states], self.k)
        return [self._value(*each) for each in zip(problems, by_problem(draws, problems), strict=True)]

    def _value(self, problem: Problem, draws: Values) -> Values:
        """Values of a problem's states, from draws (n_states, k)."""
        free = np.asarray(_BASES[self.base]().predict(problem), dtype=np.float64)
        sums, counts = np.nansum(draws, axis=1), (~np.isnan(draws)).sum(axis=1)
        so_far: list[Values] = problem.remember(f"{self}.so_far", list)
        return shrunk(np.clip(free, LEAST, 1 - LEAST), sums, counts, so_far)


def shrunk(free: Values, sums: Values, counts: Values, so_far: list[Values]) -> Values:
    """(n free + sums) / (n + counts), with the n under which the draws of the problem's states so far are most likely.

    `so_far` holds how likely each n makes the draws of the shorter states, one array for each earlier call; this call
    adds its own.
    """
    likelihoods = log_likelihood(sums[:, None], counts[:, None], free[:, None] * _WORTHS, (1 - free[:, None]) * _WORTHS)
    so_far.append(likelihoods.sum(axis=0))
    worth = _WORTHS[np.argmax(np.sum(so_far, axis=0) + _PRIOR)]
    values: Values = (worth * free + sums) / (worth + counts)
    return values
