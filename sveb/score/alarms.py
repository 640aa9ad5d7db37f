"""Leak alarms: signs that predictions use the truth's own returns, which an honest estimator cannot know."""

from __future__ import annotations

import numpy as np

from sveb.score.arrays import FloatArray, sum_by
from sveb.score.truth import Truth

# An alarm is an accusation, so it must be rare: at 3 standard errors an honest estimator gets each of the two one-sided
# alarms in about one of 700 scorings, and the two-sided one in one of 370.
THRESHOLD = 3.0


def alarms(truth: Truth, values: FloatArray, *, bought: bool = True) -> list[dict[str, str]]:
    """The alarms that these predictions raise, as badges with their evidence. `bought`: the run may know the draws.

    Of `values` (S, n) with S seeds, each test is of the mean over the seeds, so that more seeds raise no more alarms.

    The first test is a corrected mse that is far below zero. If predictions contain the truth's noise, the
    error does not contain it, but the correction still subtracts it. This test finds only predictions that are almost
    exactly the truth's means. `pool_contrast` finds a small share of these means in the predictions. `half_contrast`
    finds a share of some draws (for example the first few), but cannot find whole means. `audit_contrast` finds what
    `pool_contrast` finds, also if bought draws hide it from that one; it needs a suite with an audit pool. Draws that
    the run did not buy show the other sign of `pool_contrast`: they are published, so that code can contain them.
    """
    evidence = []
    z = mse_contrast(truth, values)
    if z < -THRESHOLD:
        evidence.append(
            f"the corrected mse lies {-z:.1f} standard errors below 0 (clustered by problem): the predictions follow "
            "the truth's own noise"
        )
    z = half_contrast(truth, values)
    if abs(z) > THRESHOLD:
        which = "first" if z > 0 else "second"
        evidence.append(
            f"the errors follow the difference between the two halves of the truth's draws (z = {z:.1f}, clustered by "
            f"problem): the predictions know the {which} half"
        )
    z = pool_contrast(truth, values)
    if z > THRESHOLD:
        evidence.append(
            f"the errors follow the difference between the truth's draws and those for sale (z = {z:.1f}, clustered by "
            "problem): the predictions know the truth's"
        )
    if z < -THRESHOLD and not bought:
        evidence.append(
            f"the errors follow the draws for sale (z = {z:.1f}, clustered by problem), but the run bought none: the "
            "code brings what it knows about these states"
        )
    z = audit_contrast(truth, values)
    if z < -THRESHOLD:
        evidence.append(
            f"the error against the truth is smaller than against the audit pool (z = {z:.1f}, clustered by problem): "
            "the predictions know the truth's draws"
        )
    return [{"badge": "leak", "evidence": text} for text in evidence]


def mse_contrast(truth: Truth, values: FloatArray) -> float:
    """z of the sum of (v - g)^2 - s2 over the path states: the corrected mse in its standard errors.

    Not below zero in expectation when v is independent of the returns; zero for V itself. 0 if no noise is known.
    """
    error = np.where(truth.kind == "path", values - truth.mean, np.nan)
    return _z(truth, error, error, -truth.noise)


def half_contrast(truth: Truth, values: FloatArray) -> float:
    """z of the sum of (v - g) * (mean of the first half - mean of the second half of the returns), over all states.

    Zero in expectation when v is independent of the returns: Cov(g, first - second) is zero for any sizes of the
    halves. 0 if no state has two halves.
    """
    return _z(truth, values - truth.mean, truth.returns.first - truth.returns.second)


def pool_contrast(truth: Truth, values: FloatArray) -> float:
    """z of the sum of (v - g) * (g - mean of the draws for sale) + s2, over all states.

    Zero in expectation if v uses neither kind of draws. This also holds if the draws for sale decided how many draws
    the truth got: conditional on them, g is unbiased with variance s2. Below zero if v bought draws; above zero only if
    it uses the truth's. 0 if no state has both.
    """
    return _z(truth, values - truth.mean, truth.mean - truth.pool_mean, truth.noise)


def audit_contrast(truth: Truth, values: FloatArray) -> float:
    """z of the sum of ((v - g)^2 - s2) - ((v - a)^2 - t2) over all states: error against truth and against audit pool.

    a is the mean of a state's audit pool and t2 its sampling variance. Both differences estimate (v - V)^2 without bias
    if v knows neither kind of draws, so that zero is expected; below zero if v uses the truth's. Draws that v bought
    are in neither of them, so they can hide nothing. NaN if no state has two graded returns of both kinds.
    """
    if truth.audit is None:
        return float("nan")
    # (v - g)^2 - (v - a)^2 as a product
    gap, middle = truth.mean - truth.audit.mean, (truth.mean + truth.audit.mean) / 2
    expected = truth.audit.noise - truth.noise
    if np.isnan(gap + expected).all():
        return float("nan")
    return _z(truth, values - middle, -2 * gap, expected)


def _z(truth: Truth, error: FloatArray, difference: FloatArray, expected: FloatArray | float = 0.0) -> float:
    """z of the sum of error * difference + expected (n,), clustered by problem; NaN states are left out.

    Where these are (S, n), of their mean over the S seeds.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        terms = np.atleast_2d(error * difference + expected).mean(axis=0)
        known = ~np.atleast_2d(np.isnan(difference) | np.isnan(expected)).any(axis=0)
        sums = sum_by(truth.problem[known], len(truth.problem_ids), terms[known])
        deviation = float(np.sqrt((sums**2).sum()))
    return float(sums.sum() / deviation) if np.isfinite(deviation) and deviation > 0 else 0.0
