"""Compares estimators on one suite: paired differences on the same resamples, and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sveb.runs.figures import Comparison
from sveb.runs.predictions import Predictions
from sveb.runs.results import Estimate
from sveb.score.align import align
from sveb.score.arrays import FloatArray, sum_by
from sveb.score.bootstrap import Resamples, estimate, resample, resampled_sums, undefined
from sveb.score.metrics import ratio
from sveb.score.rank_intervals import Ranking, rank_values
from sveb.score.score import evaluate, unmet_needs
from sveb.score.seed_spread import half_width, widened
from sveb.score.state_errors import raw_errors
from sveb.score.truth import Truth, read_truth
from sveb.suite.private_truth import Private
from sveb.suite.suite import Suite

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Several entries: `metrics` of each by name, `against` (the first one compared with each other one), and ranks."""

    metrics: dict[str, dict[str, Estimate]]
    against: list[Comparison]
    ranking: Ranking

    def to_pandas(self) -> pd.DataFrame:
        """One row per estimator, best first: mse, skill, joint rank interval, and how the first one differs from it.

        Columns: `mse` and `skill` with `_low` and `_high` (95 % intervals), `rank_low`, `rank_high`, `tie_group`, and
        `mse_difference`, `skill_difference` with `_low` and `_high`: the first estimator's figure minus this one's,
        paired on the same problems (NaN in its own row).
        """
        import pandas as pd

        rows: dict[str, dict[str, float]] = {}
        for place, name in enumerate(self.ranking.names):
            rows[name] = {
                **_columns("mse", self.metrics[name]["mse"]),
                **_columns("skill", self.metrics[name]["skill"]),
                "rank_low": int(self.ranking.rank_low[place]),
                "rank_high": int(self.ranking.rank_high[place]),
                "tie_group": int(self.ranking.tie_group[place]),
            }
        for each in self.against:
            rows[each.b] |= _columns("mse_difference", each.mse) | _columns("skill_difference", each.skill)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("estimator")


def _columns(name: str, figure: Estimate) -> dict[str, float]:
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def compare(
    suite: Suite,
    a_predictions: Path,
    b_predictions: Path,
    *,
    allow_missing: bool = False,
    private: Private | None = None,
) -> Comparison:
    """Paired difference a - b in mse and skill over path states, on the same problem-clustered resamples.

    `private` as in `score`. Raises `SvebError` if one of the files cannot be scored, as `score` does.
    """
    truth = read_truth(suite, private)
    files = [Predictions.read(path) for path in (a_predictions, b_predictions)]
    paths = (a_predictions, b_predictions)
    a, b = (align(f, truth, suite, p, allow_missing=allow_missing)[0] for f, p in zip(files, paths, strict=True))
    mse, skill = paired_differences(truth, a, b)
    return Comparison(files[0].info.estimator.name, files[1].info.estimator.name, mse, skill)


def compare_all(suite: Suite, predictions: Mapping[str, Path], *, allow_missing: bool = False) -> Comparisons:
    """Compares the first of two or more predictions files with each of the others, and ranks all of them.

    Raises `SvebError` if a file cannot be scored, as `score` does.
    """
    truth = read_truth(suite)
    resamples = resample(len(truth.problem_ids))
    values, metrics = {}, {}
    for name, path in predictions.items():
        values[name], given = align(Predictions.read(path), truth, suite, path, allow_missing=allow_missing)
        metrics[name] = evaluate(truth, values[name], given, resamples)
    first, *others = values
    differences = paired_with_each(truth, values[first], [values[other] for other in others])
    against = [Comparison(first, other, *each) for other, each in zip(others, differences, strict=True)]
    return Comparisons(metrics, against, rank_values(truth, values, resamples))


def paired_differences(truth: Truth, a: FloatArray, b: FloatArray) -> tuple[Estimate, Estimate]:
    """mse(a) - mse(b) and skill(a) - skill(b) of values (n,) in the truth's order, with paired 95 % intervals.

    Of values (S, n) with S seeds, means over the seeds; their spread is in the intervals, that of `a` and that of `b`.
    """
    return paired_with_each(truth, a, [b])[0]


def paired_with_each(
    truth: Truth, a: FloatArray, others: Sequence[FloatArray], resamples: Resamples | None = None
) -> list[tuple[Estimate, Estimate]]:
    """`paired_differences` of `a` and each of the others, on one set of resamples (made here if not given)."""
    rows, size = truth.rows("path"), len(truth.problem_ids)
    unmet = unmet_needs(truth)
    if "path" in unmet:
        return [(undefined(unmet["path"]), undefined(unmet["path"])) for _ in others]
    g, noise, problem = truth.mean[rows], truth.noise[rows], truth.problem[rows]
    mine, *theirs = (raw_errors(truth, values, rows) for values in (a, *others))
    with np.errstate(over="ignore", invalid="ignore"):
        statistics = {"n": sum_by(problem, size, np.ones(len(rows)))}
        for i, (errors, _) in enumerate(theirs):
            statistics[f"gap{i}"] = sum_by(problem, size, mine[0] - errors)
        statistics["group"] = sum_by(problem, size, (truth.group_mean[problem] - g) ** 2 - noise)
    resamples = resample(size) if resamples is None else resamples
    s = resampled_sums(statistics, resamples)
    no_skill = lacks_skill(truth)
    found = []
    skill_of_mse = float(ratio(s["n"], s["group"])[0])
    for i, (_, by_seed) in enumerate(theirs):
        halves = [half_width(mine[1]), half_width(by_seed)]
        mse = estimate(ratio(s[f"gap{i}"], s["n"]), resamples, "predictions overflow double precision")
        skill = (
            undefined(no_skill)
            if no_skill
            else estimate(-ratio(s[f"gap{i}"], s["group"]), resamples, "the group mean's mse is not above zero")
        )
        found.append((widened(mse, *halves), widened(skill, *(skill_of_mse * half for half in halves))))
    return found


def lacks_skill(truth: Truth) -> str | None:
    """Why skill is undefined on the suite; None if it is defined."""
    unmet = unmet_needs(truth)
    return next((unmet[need] for need in ("noise", "context") if need in unmet), None)
