"""Leak alarms: signs that predictions know the truth's own draws, which no honest estimator can."""

from __future__ import annotations

import numpy as np

from sveb.core.results import Estimate
from sveb.score.arrays import FloatArray, sum_by
from sveb.score.truth import Truth

# An accusation: at 3 standard errors an honest estimator meets it once in 370 scorings.
THRESHOLD = 3.0


def alarms(truth: Truth, values: FloatArray, mse: Estimate) -> list[dict[str, str]]:
    """The badges that these predictions raise, each with its evidence.

    A corrected mse below zero beyond chance shows a leak of whole means, since the noise that it subtracts is then
    missing from the error. A leak of some draws only (the first few, say) shows in `half_contrast`, which a leak of
    whole means leaves at zero.
    """
    evidence = []
    if mse.high < 0:
        interval = f"the corrected mse is {mse.value:.3g}, its 95 % interval [{mse.low:.3g}, {mse.high:.3g}]"
        evidence.append(f"{interval} lies below 0: the predictions follow the truth's own noise")
    z = half_contrast(truth, values)
    if abs(z) > THRESHOLD:
        which = "first" if z > 0 else "second"
        evidence.append(
            f"the errors follow the difference between the two halves of the truth's draws (z = {z:.1f}, clustered by "
            f"problem): the predictions know the {which} half"
        )
    return [{"badge": "leak", "evidence": text} for text in evidence]


def half_contrast(truth: Truth, values: FloatArray) -> float:
    """z of the sum of (v - g) * (mean of the first half - mean of the second half of the draws), over all states.

    Zero in expectation when v is independent of the draws: Cov(g, first - second) is zero for any sizes of the halves.
    Its standard error is from the problems' sums, squared. 0 where no state has two halves.
    """
    rows = np.flatnonzero(truth.n >= 2)
    difference = truth.draws.first[rows] - truth.draws.second[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        product = (values[rows] - truth.mean[rows]) * difference
        sums = sum_by(truth.problem[rows], len(truth.problem_ids), np.where(np.isnan(difference), 0.0, product))
        error = float(np.sqrt((sums**2).sum()))
    return float(sums.sum() / error) if np.isfinite(error) and error > 0 else 0.0
