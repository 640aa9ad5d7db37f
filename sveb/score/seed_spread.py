"""Figures of a run with several training seeds: means over the seeds, whose spread is part of their intervals.

A score varies over problems and over trainings. With M_s the score of seed s, S seeds and their mean M, the interval is
M -+ sqrt(h^2 + c^2). h is the half-width, on that side, of the bootstrap interval over problems of M for these seeds,
and c = t sd / sqrt(S), with t the quantile of Student's t with S - 1 degrees of freedom. If both parts cover, the sum
in quadrature covers at least as often (Banerjee 1961, "On confidence interval for two-means problem based on separate
estimates of variances and tabulated values of t-table", Sankhya A 23). docs/metrics.md has the derivation.
"""

from __future__ import annotations

import math

import numpy as np

from sveb.runs.results import Estimate
from sveb.score.arrays import FloatArray
from sveb.score.bootstrap import LEVEL, Resamples, estimate, rounded


def half_width(by_seed: FloatArray, level: float = LEVEL) -> float:
    """c of a figure's values (S,) with each seed, at a confidence level; 0 for one seed, whose spread is unknown."""
    from scipy.special import stdtrit

    seeds = len(by_seed)
    if seeds < 2:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # of values that overflow: the figure is undefined
        deviation = float(np.std(by_seed, ddof=1))
    return float(stdtrit(seeds - 1, (1 + level) / 2)) * deviation / math.sqrt(seeds)


def widened(figure: Estimate, *halves: float) -> Estimate:
    """The figure, with half-widths of independent parts added to its interval in quadrature; an open end stays open."""
    if not any(halves):
        return figure
    below, above = (max(reach, 0.0) for reach in (figure.value - figure.low, figure.high - figure.value))
    low, high = figure.value - math.hypot(below, *halves), figure.value + math.hypot(above, *halves)
    return Estimate(figure.value, rounded(low), rounded(high), figure.note)


def estimate_over_seeds(
    by_seed: FloatArray, resamples: Resamples, reason: str, *, corrected: bool = True, problems: int | None = None
) -> Estimate:
    """`bootstrap.estimate` of a metric's values (S, R) with each of S seeds on the rows of the resamples."""
    with np.errstate(invalid="ignore"):  # a figure that is infinite with a seed, and so undefined
        mean = by_seed.mean(axis=0)
    figure = estimate(mean, resamples, reason, corrected=corrected, problems=problems)
    return figure if math.isnan(figure.value) else widened(figure, half_width(by_seed[:, 0]))
