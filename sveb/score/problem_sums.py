"""What each problem contributes to every metric: sums over its path states. A resample is then a weighted sum.

Some differences are zero by construction, for example for an estimator that equals the group mean or is constant
inside a problem. They are computed state by state, before any sum, so that they are exactly zero.
"""

from __future__ import annotations

import numpy as np

from sveb.score.arrays import BoolArray, FloatArray, IntArray, count_by, sum_by
from sveb.score.bootstrap import Resamples, resampled_sums
from sveb.score.calibration import bin_statistics
from sveb.score.ordering import gap_statistics, order_statistics, pairings, top1_statistics
from sveb.score.rank_correlation import spearman_by_problem, spearman_resampled
from sveb.score.step_changes import advantage_statistics, gae_statistics
from sveb.score.truth import Truth

REFERENCE_GROUP = 32  # rollouts of the group that `skill_32` compares with


def metric_sums(truth: Truth, values: FloatArray, given: BoolArray, resamples: Resamples) -> dict[str, FloatArray]:
    """All that the formulas of the metrics take, for each row of the resamples; each (R,).

    These are sums over problems, and two rank correlations that are none.
    """
    rows, counts = truth.rows("path"), resamples.counts
    halved = rows[~np.isnan(truth.returns.first[rows])]
    first, second = truth.returns.first[halved], truth.returns.second[halved]
    return resampled_sums(problem_statistics(truth, values, given), resamples) | {
        "pooled_rho": spearman_resampled(values[rows], truth.mean[rows], truth.problem[rows], counts),
        "halves_rho": spearman_resampled(first, second, truth.problem[halved], counts),
    }


def problem_statistics(truth: Truth, values: FloatArray, given: BoolArray) -> dict[str, FloatArray]:
    """All per-problem statistics of predictions `values` (n,), finite, in the truth's order; each (P,).

    `given` (n,) marks the states that the estimator itself predicted.
    """
    size = len(truth.problem_ids)
    rows = truth.rows("path")
    pairs = pairings(truth)
    with np.errstate(over="ignore", invalid="ignore"):  # huge predictions: the metrics report the overflow
        return {
            "states": sum_by(truth.problem, size, np.ones(len(given))),
            "given": sum_by(truth.problem, size, given.astype(np.float64)),
            **_errors(truth, rows, values[rows]),
            **_within(truth, rows, values[rows]),
            **_ranks(truth, rows, values[rows]),
            **bin_statistics(values[rows], truth.mean[rows], truth.problem[rows], size),
            **{k: w for name in pairs for k, w in order_statistics(truth, pairs[name], values, name).items()},
            **advantage_statistics(truth, values, "path"),
            **advantage_statistics(truth, values, "siblings"),
            **gae_statistics(truth, values),
            **gap_statistics(truth, pairs["within"], values),
            **top1_statistics(truth, values),
        }


def _errors(truth: Truth, rows: IntArray, v: FloatArray) -> dict[str, FloatArray]:
    """Sums over states: counts, errors v - g, the group mean's squared errors, the truth's spread and noise."""
    g, noise, problem = truth.mean[rows], truth.noise[rows], truth.problem[rows]
    group_error = truth.group_mean[problem] - g
    group_error2 = group_error**2
    group_gain = group_error2 - (v - g) ** 2
    spread = np.where(truth.n[rows] > 1, noise * (truth.n[rows] - 1), 0.0)  # variance of a state's returns around g
    weight = truth.next_weight[rows]
    to_32 = truth.group_noise * (truth.group_n / REFERENCE_GROUP - 1)  # added to its error by this other size
    centred = g - g.min(initial=np.inf)  # a constant truth has no variance, to the last bit
    terms = {
        "n": np.ones(len(rows)),
        "error": v - g,
        "error_abs": np.abs(v - g),
        "error2": (v - g) ** 2,
        "group_error": group_error,
        "group_error2": group_error2,
        "group_gain": group_gain,
        "group_to_32": to_32[problem],
        "spread": spread,
        "noise": noise,
        "weighted_gain": weight * group_gain,
        "weighted_noise": weight * noise,
        "weighted_group_error2": weight * group_error2,
        "weighted_spread": weight * spread,
        "truth": centred,
        "truth2": centred**2,
        "return_variance": noise * truth.n[rows],  # unbiased for V (1 - V) where returns are 0/1
    }
    return {name: sum_by(problem, len(truth.problem_ids), term) for name, term in terms.items()}


def _within(truth: Truth, rows: IntArray, v: FloatArray) -> dict[str, FloatArray]:
    """Sums of squared deviations from the problem's mean: the part that a group average cannot predict."""
    g, noise, problem = truth.mean[rows], truth.noise[rows], truth.problem[rows]
    size = len(truth.problem_ids)
    m = np.maximum(count_by(problem, size), 1)
    dv, dg = deviations(v, problem, size), deviations(g, problem, size)
    noise_share = sum_by(problem, size, noise) / m
    mean_error = sum_by(problem, size, v - g) / m
    terms = {
        "within_error2": (dv - dg) ** 2,
        "within_gain": dg**2 - (dv - dg) ** 2,
        "within_truth2": dg**2,
        "within_value2": dv**2,
    }
    return {
        "between_error2": m * mean_error**2,
        "between_noise": noise_share,
        "within_noise": (m - 1) * noise_share,
        **{name: sum_by(problem, size, term) for name, term in terms.items()},
    }


def _ranks(truth: Truth, rows: IntArray, v: FloatArray) -> dict[str, FloatArray]:
    rho = spearman_by_problem(v, truth.mean[rows], truth.problem[rows], len(truth.problem_ids))
    return {"rho": np.nan_to_num(rho, nan=0.0), "rho_problems": (~np.isnan(rho)).astype(np.float64)}


def deviations(x: FloatArray, group: IntArray, size: int) -> FloatArray:
    """x minus the mean of its group; (n,). Exactly zero where a group is constant."""
    lowest = np.full(size, np.inf)
    np.minimum.at(lowest, group, x)
    shifted = x - lowest[group]
    mean = sum_by(group, size, shifted) / np.maximum(count_by(group, size), 1)
    return np.asarray(shifted - mean[group], dtype=np.float64)
