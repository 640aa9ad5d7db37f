"""How well an estimator knows what one step changes: advantages of steps, and GAE over whole rollouts.

v is the prediction, g the mean of the truth's returns, s2 the sampling variance of g, V the true value. The true
advantage of the step from state s to state s' is A = V(s') - V(s). An estimator says d = v(s') - v(s), the truth's
returns say D = g(s') - g(s). D is A plus noise of variance t = s2(s) + s2(s'), because the two states have different
returns.

The scores of steps are about the means of d and A. A's mean over the scored steps is not 0: steps that end the response
are not scored, and alternative steps are scored once each, however often the policy takes them. A d that is the same at
every step would otherwise have a score although it says nothing about any step.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sveb.score.arrays import FloatArray, IntArray, sum_by
from sveb.score.ordering import by_rollout, consecutive
from sveb.score.truth import Truth

GAE_LAMBDA = 0.95
_DIGITS = 12  # of a change of v: later ones are rounding errors
Steps = Literal["path", "siblings"]


def steps_of(truth: Truth, kind: Steps) -> tuple[IntArray, IntArray]:
    """The states before and after each scored step; two arrays (m,).

    path: states of one rollout that are one step apart. siblings: the parent, and each alternative next step.
    """
    if kind == "path":
        return consecutive(truth)
    after = truth.rows("sibling")
    before = truth.parent[after]
    known = truth.n[before] > 0
    return before[known], after[known]


def advantage_statistics(truth: Truth, values: FloatArray, kind: Steps) -> dict[str, FloatArray]:
    """Per problem (P,): number of steps, and sums of d, D, d^2, D^2, d D, (d - D)^2 and t; values (n,).

    d is measured from its median, and rounded: a d that is the same at every step must be exactly 0.
    """
    before, after = steps_of(truth, kind)
    d, observed = np.round(values[after] - values[before], _DIGITS), truth.mean[after] - truth.mean[before]
    if len(d):
        d -= np.median(d)
    columns = {
        "steps": np.ones(len(d)),
        "said": d,
        "observed": observed,
        "said2": d**2,
        "observed2": observed**2,
        "both": d * observed,
        "error2": (d - observed) ** 2,
        "noise": truth.noise[after] + truth.noise[before],
    }
    problem, size = truth.problem[before], len(truth.problem_ids)
    return {f"adv_{kind}_{name}": sum_by(problem, size, column) for name, column in columns.items()}


def gae_statistics(truth: Truth, values: FloatArray) -> dict[str, FloatArray]:
    """Per problem (P,): sums over path states of the squared GAE error, and of its noise; values (n,).

    GAE (Schulman et al. 2016, arXiv 1506.02438, equation 16) with gamma = 1, where an action is what the rollout adds
    from one scored state to the next, and after the last scored state its return follows. The return is the same with v
    and with V, so that it cancels. With e = v - V of the rollout's states, the error of the advantage at state i is

        -e_i + (1 - lambda) (e_(i+1) + lambda e_(i+2) + lambda^2 e_(i+3) + ...).
    """
    rows = by_rollout(truth)
    rollout, problem = truth.rollout[rows], truth.problem[rows]
    e, noise = values[rows] - truth.mean[rows], truth.noise[rows]
    error, variance = -e, noise.copy()
    for lag in range(1, len(rows)):
        same = np.flatnonzero(rollout[lag:] == rollout[:-lag])
        if not len(same):
            break
        weight = (1 - GAE_LAMBDA) * GAE_LAMBDA ** (lag - 1)
        error[same] += weight * e[same + lag]
        variance[same] += weight**2 * noise[same + lag]
    size = len(truth.problem_ids)
    return {"gae_error2": sum_by(problem, size, error**2), "gae_noise": sum_by(problem, size, variance)}
