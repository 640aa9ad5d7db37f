"""Divides by the number of rollouts that are at least as long as the state: sometimes there are none."""

import numpy as np

from sveb import Problem


def predict(problem: Problem):
    lengths = np.array([len(tokens) for tokens in problem.group.token_ids])
    longer = [lengths > 2 * state.n_tokens for state in problem.states]
    with np.errstate(invalid="ignore"):
        return [np.float64(problem.group.returns[each].sum()) / each.sum() for each in longer]
