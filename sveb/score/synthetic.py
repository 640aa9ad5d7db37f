"""A policy whose values are known in closed form. The scorer is tested on it.

The policy is a Markov chain of STEPS steps. Each step of a problem adds 0, 1 or 2 points with the problem's own
probabilities, and a rollout that ends with k points returns 1 with probability success[k], else 0. Backward recursion
gives V of every state exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sveb.score.arrays import FloatArray
from sveb.score.returns import binomial_returns
from sveb.score.truth import Truth

STEPS = 8
_POINTS = 2 * STEPS + 1
_SIBLINGS = 3
_POOL = 16  # draws for sale

# Probability of success by points. GRADUAL: values change little from step to step. DECISIVE: most are near 0 or 1.
GRADUAL = (np.arange(_POINTS) / (2 * STEPS)) ** 2
DECISIVE = np.asarray(np.arange(_POINTS) >= STEPS, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Simulated:
    """A truth, and the true value (n,) of each of its states."""

    truth: Truth
    value: FloatArray


def chain_values(step: FloatArray, success: FloatArray) -> FloatArray:
    """V (P, STEPS + 1, points) of problems whose steps add 0, 1, 2 points with probabilities `step` (P, 3).

    Points beyond what STEPS steps can reach are padded with zeros.
    """
    values = np.zeros((len(step), STEPS + 1, _POINTS + 2))
    values[:, STEPS, :_POINTS] = success
    for t in range(STEPS - 1, -1, -1):
        values[:, t, :_POINTS] = sum(step[:, d, None] * values[:, t + 1, d : d + _POINTS] for d in range(3))
    return np.minimum(values, 1.0)  # rounding may bring a sum of probabilities slightly above 1


def simulate(
    seed: int, problems: int = 60, rollouts: int = 2, k: int = 16, group: int = 32, success: FloatArray = GRADUAL,
    audit: int = 0,
) -> Simulated:  # fmt: skip
    """Path states of `rollouts` probe rollouts per problem, sibling triples of some states, `k` returns per state.

    The audit pool has `audit` returns per state; there is none if it is 0.

    The lengths of the steps and the weights of their tokens are random.
    """
    rng = np.random.default_rng(seed)
    step = rng.dirichlet([1.0, 1.0, 1.0], problems)
    values = chain_values(step, success)
    group_mean = rng.binomial(group, values[:, 0, 0]) / group
    bounds = np.cumsum(step, axis=1)[:, None, None, :2]
    gains = (rng.random((problems, rollouts, STEPS - 1, 1)) > bounds).sum(axis=3)
    points = np.cumsum(gains, axis=2)

    problem, rollout, index = (axis.ravel() for axis in np.indices(points.shape))
    path = len(problem)
    parents = np.repeat(np.flatnonzero(index % 3 == 0), _SIBLINGS)
    gain = np.tile(np.arange(_SIBLINGS), len(parents) // _SIBLINGS)
    value = np.concatenate(
        [
            values[problem, index + 1, points.ravel()],
            values[problem[parents], index[parents] + 2, points.ravel()[parents] + gain],
        ]
    )
    step_index = np.concatenate([index + 1, index[parents] + 2])
    lengths = np.random.default_rng([seed, 1])  # its own, so that nothing else depends on the steps' lengths
    next_tokens = 1.0 + lengths.poisson(9, path)
    weight = next_tokens * lengths.beta(0.5, 1.5, path)  # most steps are nearly certain, as those of a language model
    truth = Truth(
        state_ids=[f"s{i}" for i in range(len(value))],
        problem_ids=[f"p{i:06d}" for i in range(problems)],
        problem=np.concatenate([problem, problem[parents]]),
        kind=np.repeat(np.array(["path", "sibling"]), [path, len(parents)]),
        rollout=np.concatenate([problem * rollouts + rollout, np.full(len(parents), -1)]),
        step_index=step_index,
        parent=np.concatenate([np.full(path, -1), parents]),
        position=np.concatenate([(index + 1) / STEPS, np.full(len(parents), np.nan)]),
        n_tokens=10 * step_index,
        next_tokens=np.concatenate([next_tokens, np.full(len(parents), np.nan)]),
        next_weight=np.concatenate([weight.astype(np.float32), np.full(len(parents), np.nan)]),
        returns=binomial_returns(value, k, rng),
        pool_mean=rng.binomial(_POOL, value) / _POOL,
        pool_n=np.full(len(value), _POOL),
        group_mean=group_mean,
        group_n=np.full(problems, group),
        group_noise=group_mean * (1 - group_mean) / (group - 1) if group > 1 else np.full(problems, np.nan),
        tier=["easy" if v > 0.3 else "hard" for v in values[:, 0, 0]],
        binary=True,
        missing_returns=0,
        audit=binomial_returns(value, audit, np.random.default_rng([seed, 2])) if audit else None,
    )
    return Simulated(truth, value)


def redrawn(simulated: Simulated, k: int, rng: np.random.Generator) -> Simulated:
    """The same states, with a truth from new returns."""
    returns = binomial_returns(simulated.value, k, rng)
    return replace(simulated, truth=replace(simulated.truth, returns=returns))
