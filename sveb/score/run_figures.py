"""The figures of one run that results.json does not contain, computed from its predictions and the truth.

v is the prediction for a state, g the mean of its truth's returns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sveb.common.errors import SvebError
from sveb.runs.figures import CELLS, GAP_EDGES, Bin, Cloud, Comparison, GapBin, RunFigures
from sveb.runs.predictions import Predictions
from sveb.runs.results import Estimate
from sveb.runs.run_folder import RunFolder
from sveb.score.align import align
from sveb.score.arrays import BoolArray, FloatArray, IntArray, sum_by
from sveb.score.bootstrap import Resamples, estimate, resample, resampled_sums
from sveb.score.calibration import equal_mass_bins
from sveb.score.compare import paired_differences
from sveb.score.metrics import ratio
from sveb.score.ordering import Pairs, agreement, pairings
from sveb.score.slices import SMALL
from sveb.score.state_errors import group_mse, truth_intervals
from sveb.score.truth import Truth, read_truth
from sveb.score.worst_states import worst_problems, worst_states
from sveb.suite.suite import Suite

HISTOGRAM_PARTS = 40
FEW_STATES = 120
SAMPLE = 60


def run_figures(suite: Suite, truth: Truth, values: FloatArray, name: str) -> RunFigures:
    """All figures of predictions `values` (n,), finite and in the truth's order, of the run called `name`.

    Of `values` (S, n) with S seeds, `against_group_mean` is over all of them. The others show single values: those of
    the first seed.
    """
    against = against_group_mean(truth, values, name)
    values = np.atleast_2d(values)[0]
    resamples = resample(len(truth.problem_ids))
    path = values[truth.rows("path")]
    histogram, _ = np.histogram(np.clip(path, 0, 1), bins=HISTOGRAM_PARTS, range=(0.0, 1.0))
    order = {kind: order_by_gap(truth, values, resamples, kind) for kind in ("steps", "siblings")}
    return RunFigures(
        reliability=reliability(truth, values, resamples),
        histogram=histogram.tolist(),
        cloud=cloud(truth, values),
        order={kind: bins for kind, bins in order.items() if bins},
        states=worst_states(suite, truth, values),
        problems=worst_problems(suite, truth, values),
        against_group_mean=against,
        group_mse=group_mse(truth),
        binary=truth.binary,
    )


def figures_of_run(run: RunFolder, suite: Suite) -> RunFigures:
    """The figures of a run folder; missing predictions are replaced if the scorer replaced them.

    Raises `SvebError` if the run was scored on a hidden truth, or does not fit the suite.
    """
    if run.results.truth in ("hidden", "all"):
        raise SvebError(
            f"{run.folder} was scored on a hidden truth, and a report would show its states: score the run "
            f"without --truth first (`sveb score {run.folder} --suite {suite.path}`)"
        )
    truth = read_truth(suite)
    replaced = run.results.counts.get("missing_predictions", 0) > 0
    values, _ = align(Predictions.read(run.predictions), truth, suite, run.predictions, allow_missing=replaced)
    return run_figures(suite, truth, values, run.name)


def against_group_mean(truth: Truth, values: FloatArray, name: str) -> Comparison | None:
    """The run, paired with the mean return of each problem's context rollouts; None if a problem has none.

    These means equal the predictions of the built-in group_mean, so group_mean need not be run.
    """
    group_mean = truth.group_mean[truth.problem]
    if np.isnan(group_mean).any():
        return None
    mse, skill = paired_differences(truth, values, group_mean)
    return Comparison(name, "group_mean", mse, skill)


def reliability(truth: Truth, values: FloatArray, resamples: Resamples) -> list[Bin]:
    """Ten bins with equal numbers of path states, by prediction `values` (n,), lowest first, none empty.

    The bins are formed once; the intervals resample problems.
    """
    rows = truth.rows("path")
    v, g, problem = values[rows], truth.mean[rows], truth.problem[rows]
    return [
        Bin(
            int(inside.sum()), len(np.unique(problem[inside])), float(v[inside].mean()),
            _mean(g[inside], problem[inside], resamples),
        )
        for inside in _masks(equal_mass_bins(v))
    ]  # fmt: skip


def cloud(truth: Truth, values: FloatArray) -> Cloud:
    """Counts of states by prediction `values` (n,) and truth, on a grid of CELLS x CELLS."""
    rows = truth.rows("path")
    v, g = values[rows], truth.mean[rows]

    def cell(x: FloatArray) -> IntArray:
        return np.clip(np.floor(np.clip(x, 0, 1) * CELLS), 0, CELLS - 1).astype(np.int64)

    cells = np.bincount(cell(v) * CELLS + cell(g), minlength=CELLS**2).reshape(CELLS, CELLS)
    order = np.lexsort((rows, g, v))
    if len(order) > FEW_STATES:
        order = order[((np.arange(SAMPLE) + 0.5) * len(order) / SAMPLE).astype(np.int64)]
    low, high = truth_intervals(truth, rows[order])
    sample = np.column_stack([v[order], g[order], low, high])
    full = [[i, j, int(cells[i, j])] for i, j in np.argwhere(cells).tolist()]
    return Cloud(len(rows), full, sample.tolist(), int(((v < 0) | (v > 1)).sum()))


def order_by_gap(truth: Truth, values: FloatArray, resamples: Resamples, kind: str) -> list[GapBin]:
    """How often the predictions order pairs of `kind` (steps or siblings) correctly, by the gap of their truths.

    Bins without pairs are left out.
    """
    pairs: Pairs = pairings(truth)[kind]
    agreed, ceiling = agreement(pairs, values), np.maximum(pairs.q, 1 - pairs.q)
    gap, problem = np.abs(truth.mean[pairs.first] - truth.mean[pairs.second]), truth.problem[pairs.first]
    # a gap of .1 is a difference of two means: it must not fall below .1 by a rounding error
    which = np.clip(np.searchsorted(GAP_EDGES, gap + 1e-9, side="right") - 1, 0, len(GAP_EDGES) - 2)
    found = []
    for k in range(len(GAP_EDGES) - 1):
        inside = which == k
        if not inside.any():
            continue
        problems = len(np.unique(problem[inside]))
        agreed_there = _mean(agreed[inside], problem[inside], resamples)
        small, most = problems < SMALL, float(ceiling[inside].mean())
        found.append(
            GapBin(GAP_EDGES[k], GAP_EDGES[k + 1], int(inside.sum()), problems, small, agreed_there, most)
        )  # fmt: skip
    return found


def _masks(bins: IntArray) -> Iterator[BoolArray]:
    for k in np.unique(bins):
        yield bins == k


def _mean(values: FloatArray, problem: IntArray, resamples: Resamples) -> Estimate:
    """Mean of `values` with an interval over problems."""
    size = resamples.problems
    terms = {"total": values, "n": np.ones(len(values))}
    sums = resampled_sums({name: sum_by(problem, size, term) for name, term in terms.items()}, resamples)
    return estimate(
        ratio(sums["total"], sums["n"]), resamples, "no problem of this part was drawn",
        problems=len(np.unique(problem)),
    )  # fmt: skip
