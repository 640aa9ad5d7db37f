"""Computes results from predictions and truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sveb.common.files import sha256
from sveb.runs.predictions import Predictions
from sveb.runs.results import BySeed, Estimate, Results
from sveb.score.alarms import alarms
from sveb.score.align import align
from sveb.score.arrays import BoolArray, FloatArray
from sveb.score.bootstrap import (
    INTERVAL,
    LEVEL,
    REPLICATES,
    SEED,
    Resamples,
    resample,
    rounded,
    undefined,
)
from sveb.score.metric_catalogue import CATALOGUE, Metric, Need
from sveb.score.ordering import pairings, sibling_rows
from sveb.score.perfect import perfect_scores
from sveb.score.problem_sums import metric_sums
from sveb.score.seed_spread import estimate_over_seeds
from sveb.score.slices import slices
from sveb.score.step_changes import steps_of
from sveb.score.truth import Truth, read_truth
from sveb.suite.private_truth import Private
from sveb.suite.suite import Suite

_AND_SEEDS = "; of the mean over the seeds, whose spread (Student's t) is added in quadrature"
_HUGE = 1e100  # larger predictions bring sums of squares near the limit of double precision


def score(
    suite: Suite,
    predictions_path: Path,
    *,
    allow_missing: bool = False,
    private: Private | None = None,
    everything: bool = False,
) -> Results:
    """All metrics of one predictions file on one suite, with 95 % intervals over problems.

    A split suite is scored on its public problems; with `private` on the private ones; with `private` and `everything`
    on both. Values outside [0, 1] are scored as they are. The same files give byte-identical results. Raises one
    `SvebError` with everything that is wrong: predictions for another suite, and repeated, unknown, missing or
    non-finite ones. With `allow_missing` the last two are replaced with the training mean and counted in
    `missing_predictions`, over all seeds. Of several seeds, every figure is the mean over them (seed_spread.py).
    """
    predictions = Predictions.read(predictions_path)
    truth = read_truth(suite, private, everything=everything)
    values, given = align(predictions, truth, suite, predictions_path, allow_missing=allow_missing)
    resamples = resample(len(truth.problem_ids))
    metrics = evaluate(truth, values, given, resamples)
    return Results(
        info=predictions.info,
        predictions_sha256=sha256(predictions_path),
        counts=_counts(truth, given),
        metrics=metrics,
        bootstrap={
            "replicates": REPLICATES, "seed": SEED, "level": LEVEL, "cluster": "problem",
            "interval": f"{INTERVAL}{_AND_SEEDS if predictions.further else ''}",
        },
        alarms=alarms(truth, values, bought="extra_rollouts" in predictions.info.budget),
        slices=slices(truth, values, resamples),
        perfect=perfect_scores(truth),
        truth=truth.part,
        by_seed=_by_seed(truth, values, given, predictions.seeds) if predictions.further else None,
    )  # fmt: skip


def evaluate(truth: Truth, values: FloatArray, given: BoolArray, resamples: Resamples) -> dict[str, Estimate]:
    """Every metric of the catalogue for finite `values` (n,) in the truth's order, on the same resamples.

    A metric that does not exist is NaN with its reason, never 0. `values` and `given` (S, n), of S training seeds, give
    means over the seeds.
    """
    unmet = unmet_needs(truth)
    seeds = zip(np.atleast_2d(values), np.atleast_2d(given), strict=True)
    sums = [metric_sums(truth, *of_seed, resamples) for of_seed in seeds]
    huge = bool(np.abs(values).max(initial=0.0) > _HUGE)

    def score(metric: Metric) -> Estimate:
        for need in metric.needs:
            if need in unmet:
                return undefined(unmet[need])
        replicates = np.stack([metric.formula(of_seed) for of_seed in sums])
        reason = metric.undefined
        if huge and not np.isfinite(replicates[:, 0]).all():
            reason = f"predictions beyond {_HUGE:g} overflow double precision"
        informed = min(int(of_seed[metric.informed][0]) for of_seed in sums) if metric.informed else 0
        return estimate_over_seeds(replicates, resamples, reason, corrected=metric.corrected, problems=informed or None)

    return {name: score(metric) for name, metric in CATALOGUE.items()}


def _by_seed(truth: Truth, values: FloatArray, given: BoolArray, seeds: list[int]) -> BySeed:
    """What each seed's values (S, n) score alone."""
    fewest = resample(len(truth.problem_ids), replicates=1)  # for the figures without their intervals
    alone = [evaluate(truth, *of_seed, fewest) for of_seed in zip(values, given, strict=True)]
    found = {name: [figures[name].value for figures in alone] for name in CATALOGUE}
    return BySeed(seeds, found, {name: rounded(float(np.std(each, ddof=1))) for name, each in found.items()})


def unmet_needs(truth: Truth) -> dict[Need, str]:
    """What the suite does not contain, with the reason that the note of its metrics then gives."""
    rows, pairs = truth.rows("path"), pairings(truth)
    whole = int(np.isnan(truth.returns.first[rows]).sum())
    single = int((truth.n[rows] < 2).sum())
    groupless = int(np.isnan(truth.group_mean[np.unique(truth.problem[rows])]).sum())
    lone = int((truth.group_n[np.unique(truth.problem[rows])] < 2).sum())
    unweighted = int(np.isnan(truth.next_weight[rows]).sum())
    found: dict[Need, str | None] = {
        "path": None if len(rows) else "no path states",
        "noise": f"{single} path states have a single graded continuation: the truth's noise is unknown"
        if single
        else None,
        "context": f"{groupless} problems have no graded context rollout" if groupless else None,
        "halves": f"{whole} path states have no two halves of draws to compare" if whole else None,
        "group_noise": f"{lone} problems have fewer than two graded context rollouts" if lone else None,
        "weights": f"the suite has no next_weight for {unweighted} path states: older versions of sveb did not store "
        "the policy's probabilities"
        if unweighted
        else None,
        "alternatives": None if len(steps_of(truth, "siblings")[0]) else "no sibling has a parent with a truth",
        "steps": None if len(pairs["steps"].q) else "no rollout has path states at two consecutive steps",
        "siblings": None if len(pairs["siblings"].q) else "no step has two siblings",
        "within": None if len(pairs["within"].q) else "no problem has two path states",
    }
    return {need: reason for need, reason in found.items() if reason is not None}


def _counts(truth: Truth, given: BoolArray) -> dict[str, int]:
    siblings = sibling_rows(truth)
    counts = {
        "problems": len(truth.problem_ids),
        **{f"{kind}_states": int((truth.kind == kind).sum()) for kind in ("root", "path", "sibling")},
        "sibling_groups": len(np.unique(truth.parent[siblings])),
    }
    for name, pairs in zip(("step", "sibling", "within"), pairings(truth).values(), strict=True):
        counts |= {f"{name}_pairs": len(pairs.q), f"{name}_pairs_resolved": int(pairs.resolved.sum())}
    if truth.audit is not None:  # absent: the suite has no audit pool, and the alarm that needs it did not run
        counts["audited_states"] = int((truth.audit.n > 1).sum())
    return counts | {
        "states_without_truth": int((truth.n == 0).sum()),
        "missing_returns": truth.missing_returns,
        "missing_predictions": int((~given).sum()),
    }
