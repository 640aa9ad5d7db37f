"""From predictions and truth to results."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sveb.core.files import sha256
from sveb.core.predictions import Predictions
from sveb.core.results import Estimate, Results
from sveb.core.suite import Suite
from sveb.score.align import align
from sveb.score.arrays import BoolArray, FloatArray, IntArray
from sveb.score.bootstrap import LEVEL, REPLICATES, SEED, estimate, resample_counts, resampled_sums, undefined
from sveb.score.catalogue import CATALOGUE, Metric, Need
from sveb.score.ordering import sibling_pairs, sibling_rows, step_pairs
from sveb.score.ranks import spearman_resampled
from sveb.score.statistics import problem_statistics
from sveb.score.truth import Truth, read_truth

_HUGE = 1e100  # beyond it sums of squares come near the end of double precision


def score(suite: Suite, predictions_path: Path, *, allow_missing: bool = False) -> Results:
    """All metrics of one predictions file on one suite, with 95 % intervals over problems.

    Values outside [0, 1] are scored as they are. The same files give the same results, to the byte. Raises
    `SvebError` with all that is wrong: predictions of another suite, and repeated, unknown, missing or non-finite
    ones; with `allow_missing` the latter two become the training mean, counted in `missing_predictions`.
    """
    predictions = Predictions.read(predictions_path)
    truth = read_truth(suite)
    values, given = align(predictions, truth, suite, predictions_path, allow_missing=allow_missing)
    counts = resample_counts(len(truth.problem_ids))
    metrics = evaluate(truth, values, given, counts)
    return Results(
        info=predictions.info,
        predictions_sha256=sha256(predictions_path),
        counts=_counts(truth, given),
        metrics=metrics,
        bootstrap={"replicates": REPLICATES, "seed": SEED, "level": LEVEL, "cluster": "problem"},
        alarms=alarms(metrics["mse"]),
    )


def evaluate(truth: Truth, values: FloatArray, given: BoolArray, counts: IntArray) -> dict[str, Estimate]:
    """Every metric of the catalogue for finite `values` (n,) in the truth's order, on the resamples `counts` (R, P).

    A metric that does not exist is NaN with its reason, never 0.
    """
    unmet = unmet_needs(truth)
    sums = resampled_sums(problem_statistics(truth, values, given), counts)
    huge = bool(np.abs(values).max(initial=0.0) > _HUGE)
    return {name: _estimate(metric, truth, values, counts, sums, unmet, huge) for name, metric in CATALOGUE.items()}


def _estimate(
    metric: Metric,
    truth: Truth,
    values: FloatArray,
    counts: IntArray,
    sums: dict[str, FloatArray],
    unmet: dict[Need, str],
    huge: bool,
) -> Estimate:
    for need in metric.needs:
        if need in unmet:
            return undefined(unmet[need])
    if metric.formula is None:
        rows = truth.rows("path")
        replicates = spearman_resampled(values[rows], truth.mean[rows], truth.problem[rows], counts)
    else:
        replicates = metric.formula(sums)
    reason = metric.undefined
    if huge and not np.isfinite(replicates[0]):
        reason = f"predictions beyond {_HUGE:g} overflow double precision"
    return estimate(replicates, counts.shape[1], reason)


def unmet_needs(truth: Truth) -> dict[Need, str]:
    """What the suite does not offer, with the reason that its metrics then carry."""
    rows = truth.rows("path")
    single = int((truth.n[rows] < 2).sum())
    groupless = int(np.isnan(truth.group_mean[np.unique(truth.problem[rows])]).sum())
    found: dict[Need, str | None] = {
        "path": None if len(rows) else "no path states",
        "noise": f"{single} path states have a single graded continuation: the truth's noise is unknown"
        if single
        else None,
        "context": f"{groupless} problems have no graded context rollout" if groupless else None,
        "binary": None if truth.binary else "returns are not all 0 or 1",
        "steps": None if len(step_pairs(truth).first) else "no rollout has two path states",
        "siblings": None if len(sibling_rows(truth)) else "no step has two siblings",
    }
    return {need: reason for need, reason in found.items() if reason is not None}


def _counts(truth: Truth, given: BoolArray) -> dict[str, int]:
    siblings = sibling_rows(truth)
    counts = {
        "problems": len(truth.problem_ids),
        **{f"{kind}_states": int((truth.kind == kind).sum()) for kind in ("root", "path", "sibling")},
        "sibling_groups": len(np.unique(truth.parent[siblings])),
    }
    for name, pairs in (("step", step_pairs(truth)), ("sibling", sibling_pairs(truth))):
        counts |= {f"{name}_pairs": len(pairs.q), f"{name}_pairs_resolved": int(pairs.resolved.sum())}
    return counts | {
        "states_without_truth": int((truth.n == 0).sum()),
        "missing_returns": truth.missing_returns,
        "missing_predictions": int((~given).sum()),
    }


def alarms(mse: Estimate) -> list[dict[str, str]]:
    """A corrected mse below zero beyond chance: the predictions know the truth's own draws."""
    if not mse.high < 0:
        return []
    interval = f"the corrected mse is {mse.value:.3g}, its 95 % interval [{mse.low:.3g}, {mse.high:.3g}]"
    return [{"badge": "leak", "evidence": f"{interval} lies below 0: the predictions follow the truth's own noise"}]
