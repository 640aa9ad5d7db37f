"""Prefixes as points: the hidden state of the last token, the mean-pooled one, and distances between rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from sveb.contract.policy_access import PolicyAccess
from sveb.contract.problem import Floats, Ints, Problem
from sveb.estimators.shared.needed_states import longest_states, unfinished_ends

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """`last` (n, d), the hidden state at each prefix's last token; `pooled` (n, d), the mean over its tokens."""

    last: Floats
    pooled: Floats


def points(hidden: Floats, n_prompt: int, offsets: Ints) -> Points:
    """Prefixes of `offsets` response tokens of a sequence (n_tokens, d).

    The mean is over the response's tokens and the prompt's last one: the rest of the prompt is the same for all.
    """
    sums = hidden[n_prompt - 1 :].cumsum(axis=0, dtype=np.float64)
    return Points(hidden[n_prompt - 1 + offsets], (sums[offsets] / (1 + offsets[:, None])).astype(np.float32))


def rollout_points(policy: PolicyAccess, problem: Problem, layer: int) -> list[Points]:
    """For each rollout of the group its prefixes: the bare prompt and the end of every step but the last."""
    n_prompt = len(problem.prompt_token_ids)
    return [
        points(hidden, n_prompt, unfinished_ends(problem.group, i))
        for i, hidden in enumerate(policy.rollout_token_hidden_states(problem, layer))
    ]


def state_points(policy: PolicyAccess, problems: Sequence[Problem], layer: int) -> list[Points]:
    """The states of each problem, in their order."""
    asked = [longest_states(problem.states) for problem in problems]
    read = iter(policy.token_hidden_states([state for longest, _ in asked for state in longest], layer))
    found: list[Points] = []
    for problem, (longest, members) in zip(problems, asked, strict=True):
        n_tokens = np.array([state.n_tokens for state in problem.states], dtype=np.int64)
        mine = [
            points(hidden, len(problem.prompt_token_ids), n_tokens[places])
            for hidden, places in zip(islice(read, len(longest)), members, strict=True)
        ]
        order = np.argsort(np.concatenate(members))
        last, pooled = (np.concatenate([getattr(each, name) for each in mine])[order] for name in ("last", "pooled"))
        found.append(Points(last, pooled))
    return found


def whitening(groups: Sequence[Sequence[Points]], n_components: int) -> Matrix:
    """(d, n_components at most): to the principal components of pooled states within problems, at unit variance.

    Distances are only used within a problem, so differences between problems must not use up components.
    """
    width = groups[0][0].pooled.shape[1]
    covariance, count = np.zeros((width, width)), 0
    for group in groups:
        rows = np.concatenate([each.pooled for each in group]).astype(np.float64)
        rows -= rows.mean(axis=0)
        covariance += rows.T @ rows
        count += len(rows)
    values, vectors = np.linalg.eigh(covariance / max(count, 1))
    values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
    # A direction without variance has no scale.
    moves = values > 1e-9 * max(values[0], 1e-30)
    found: Matrix = vectors[:, moves] / np.sqrt(values[moves])
    return found


def nearest(ours: Floats, theirs: Sequence[Floats], to_white: Matrix) -> Matrix:
    """Squared whitened distances (n, n_rollouts) of pooled prefixes (n, d) to each rollout's nearest prefix."""
    own = ours.astype(np.float64) @ to_white
    others = np.concatenate(theirs).astype(np.float64) @ to_white
    squared = (own**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * own @ others.T
    starts = np.cumsum([0, *(len(each) for each in theirs)])[:-1]
    found: Matrix = np.minimum.reduceat(np.maximum(squared, 0.0), starts, axis=1)
    return found


def left_out(group: Sequence[Points], to_white: Matrix) -> list[Matrix]:
    """For each rollout the `nearest` of its prefixes to the other rollouts: (n_prefixes, G - 1)."""
    pooled = [each.pooled for each in group]
    return [nearest(one, pooled[:i] + pooled[i + 1 :], to_white) for i, one in enumerate(pooled)]
