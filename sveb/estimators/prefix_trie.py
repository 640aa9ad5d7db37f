"""Mean return of the rollouts that share the longest token prefix with the state.

This is a node's value in the tree of the rollouts' tokens. Where fewer than `m` rollouts share the whole state, the
longest prefix that `m` rollouts share is used; the shortest possible one gives the group mean.
"""

from __future__ import annotations

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Tokens, Values
from sveb.estimators.registry import builtin


@builtin(budget=("group",), cost="free")
class PrefixTrie(Estimator):
    """Mean return of the rollouts that share the longest token prefix with the state."""

    def __init__(self, m: int = 4) -> None:
        self.m = m

    def predict(self, problem: Problem) -> Values:
        group = problem.group
        if not len(group):
            return np.full(len(problem.states), np.nan)
        values = []
        for state in problem.states:
            shared = np.array([shared_length(state.token_ids, tokens) for tokens in group.token_ids])
            # The m-th longest agreement is the longest prefix that m of them share.
            depth = np.sort(shared)[::-1][min(self.m, len(group)) - 1]
            values.append(group.returns[shared >= depth].mean())
        return np.array(values)


def shared_length(one: Tokens, other: Tokens) -> int:
    """Number of leading tokens that the two have in common."""
    shortest = min(len(one), len(other))
    differ = np.flatnonzero(one[:shortest] != other[:shortest])
    return int(differ[0]) if len(differ) else shortest
