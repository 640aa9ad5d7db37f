"""The figures of `bench.gradients`: second moment, retention and efficiency of each estimator's gradient, and taus.

All of it is linear algebra on the inner products that `bench.score_vectors` keeps. An arm is a list of (weight,
values): a statistic that is quadratic in the values is the weighted sum over the list. An estimator is one term of
weight 1. The exact truth is known only by its draws, and noise in them would add to every square. With v1 and v2 the
means of its two halves, 2 Q((v1 + v2) / 2) - Q(v1) / 2 - Q(v2) / 2 has the expectation of Q(V), for every quadratic Q.
So the rows of the truth are free of the noise of the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import sveb
from bench.report import report
from bench.score_vectors import Array, Products, advantages
from sveb.common.files import write_text
from sveb.common.seeds import rng
from sveb.runs.predictions import Predictions
from sveb.runs.results import Estimate
from sveb.score.bootstrap import Resamples, estimate, resample, resampled_sums
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.problem_sums import problem_statistics
from sveb.score.truth import Truth, read_truth
from sveb.site.evidence_charts import dose_picture, standalone
from sveb.site.evidence_data import gradients_of

if TYPE_CHECKING:
    from bench.gradients import Plan

LAMBDAS = (1.0, 0.95, 0.5, 0.0)
SCORES = ("skill", "grad_ev", "adv_corr")
NOISE = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # standard deviation of what is added to V
SHRINK = (0.9, 0.75, 0.5, 0.25, 0.1, 0.05)  # what is left of V - group mean
PERMUTED = "stacked, permuted"
_SEED = 0
Terms = list[tuple[float, Array]]


@dataclass(frozen=True, eq=False)
class Arm:
    """One estimator's statistics, problem by problem (N,); 0 where a problem is not finished.

    `second[lambda]` (N,): mean |g|² over the probes. `kept[lambda]` (N, N): inner products of the mean g with the
    reference gradients. `scores`: what SVEB's metrics are sums of. `finished`: 1 or 0.
    """

    second: dict[float, Array]
    kept: dict[float, Array]
    scores: dict[str, Array]
    finished: Array

    @classmethod
    def empty(cls, n: int) -> Arm:
        """No problem is finished."""
        return cls({lam: np.zeros(n) for lam in LAMBDAS}, {lam: np.zeros((n, n)) for lam in LAMBDAS}, {}, np.zeros(n))


def terms_of(plan: Plan, part: int, names: Sequence[str], suite: sveb.Suite, truth: Truth) -> dict[str, Terms]:
    """The values of these estimators and of all other arms on one part, in the truth's order."""
    from bench.gradients import run_folder

    arms: dict[str, Terms] = {"zero": [(1.0, np.zeros(len(truth.state_ids)))]}
    for name in names:
        found = Predictions.read(run_folder(plan, part, name) / "predictions.parquet")
        values = pd.Series(found.values, index=found.state_ids).reindex(truth.state_ids)
        arms[name] = [(1.0, values.to_numpy(dtype=np.float64))]
    group = truth.group_mean[truth.problem]
    halves = halves_of_draws(suite, truth)

    def of_truth(change: Callable[[Array], Array]) -> Terms:
        first, second = (change(half) for half in halves)
        return [(2.0, (first + second) / 2), (-0.5, first), (-0.5, second)]

    arms["truth"] = of_truth(lambda v: v)
    if "stacked" in arms:
        arms[PERMUTED] = [(1.0, permuted(arms["stacked"][0][1], truth, part))]
    each_state = rng(_SEED, "noise of states", part).standard_normal(len(truth.problem))
    each_problem = rng(_SEED, "noise of problems", part).standard_normal(len(truth.problem_ids))[truth.problem]
    for size in NOISE:
        arms[f"truth, noise of states {size:g}"] = of_truth(lambda v, size=size: v + size * each_state)
        arms[f"truth, noise of problems {size:g}"] = of_truth(lambda v, size=size: v + size * each_problem)
    for left in SHRINK:
        arms[f"truth, shrunk to {left:g}"] = of_truth(lambda v, left=left: group + left * (v - group))
    return arms


def halves_of_draws(suite: sveb.Suite, truth: Truth) -> tuple[Array, Array]:
    """The mean returns of the first and of the second half of each state's draws; each (n,)."""
    drawn = suite.table("draws", ["state_id", "draw_index", "return_"]).to_pandas()
    table = drawn.pivot(index="state_id", columns="draw_index", values="return_").reindex(truth.state_ids)
    returns = table.to_numpy(dtype=np.float64)
    half = returns.shape[1] // 2
    return np.nanmean(returns[:, :half], axis=1), np.nanmean(returns[:, half : 2 * half], axis=1)


def permuted(values: Array, truth: Truth, part: int) -> Array:
    """The values, permuted among the states of each problem: nothing is left of what they knew about steps."""
    chance = rng(_SEED, "permuted", part)
    found = values.copy()
    for problem in range(len(truth.problem_ids)):
        rows = np.flatnonzero(truth.problem == problem)
        found[rows] = values[chance.permutation(rows)]
    return found


def arms_of(plan: Plan, finished: Mapping[int, Mapping[int, Products]]) -> dict[str, Arm]:
    """Every arm's statistics. Problems that are not finished have zeros; unfinished estimators are left out."""
    from bench.gradients import finished_estimators, names_of_problems

    names = finished_estimators(plan, finished)
    arms: dict[str, Arm] = {}
    for part, problems in finished.items():
        suite = sveb.load_suite(plan.folder / "suites" / f"part-{part:02d}")
        truth = read_truth(suite)
        rows = truth.problem_ids
        places = {rows.index(name): place for place, name in enumerate(names_of_problems(suite)) if place in problems}
        for name, terms in terms_of(plan, part, names, suite, truth).items():
            _add(arms.setdefault(name, Arm.empty(plan.problems)), terms, truth, problems, places, part * plan.part)
    return arms


def _add(
    arm: Arm,
    terms: Terms,
    truth: Truth,
    problems: Mapping[int, Products],
    places: Mapping[int, int],
    first: int,
) -> None:
    """Adds one part's problems, of which the first has the number `first`; `places` by index in the truth."""
    given = np.ones(len(truth.state_ids), dtype=bool)
    index = np.array(list(places))
    numbers = first + np.array(list(places.values()))
    for weight, values in terms:
        for name, column in problem_statistics(truth, values, given).items():
            arm.scores.setdefault(name, np.zeros(len(arm.finished)))[numbers] += weight * column[index]
    arm.finished[numbers] = 1.0
    rows_of = {name: i for i, name in enumerate(truth.state_ids)}
    for place in places.values():
        one = problems[place]
        lengths = (one.state_ids != "").sum(axis=1)
        rows = np.array([[rows_of.get(name, 0) for name in probe] for probe in one.state_ids])
        for lam, (weight, values) in product(LAMBDAS, terms):
            a = advantages(values[rows], one.returns, lam, lengths)
            arm.second[lam][first + place] += weight * np.einsum("ri,rij,rj->r", a, one.gram, a).mean()
            arm.kept[lam][first + place] += weight * np.einsum("ri,rin->n", a, one.reference) / len(a)


def without_own(inner: Array, counts: Array) -> Array:
    """Sum over pairs of different problems of count_p count_q inner[p, q], for each row of counts (R, P); (R,)."""
    return np.asarray(((counts @ inner) * counts).sum(axis=1) - counts**2 @ np.diag(inner))


def kendall(x: Array, y: Array) -> Array:
    """Kendall's tau-b over arms; x and y (arms, R), tau (R,), NaN where one of them is constant."""
    first, second = np.triu_indices(len(x), 1)
    dx, dy = np.sign(x[first] - x[second]), np.sign(y[first] - y[second])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((dx * dy).sum(axis=0) / np.sqrt((dx**2).sum(axis=0) * (dy**2).sum(axis=0)))


@dataclass(frozen=True, eq=False)
class Figures:
    """Every figure of every arm on the rows of the resamples, (R,): the point estimate is the first.

    `figures[arm][name]`, names are those of SCORES and "q 1", "s .5", "efficiency 0" and the like. `share`: what of the
    squared length of the mean reference gradient is not noise. `problems`: how many are finished.
    """

    resamples: Resamples
    figures: dict[str, dict[str, Array]]
    share: float
    problems: int

    @classmethod
    def of(cls, arms: Mapping[str, Arm], references: Array) -> Figures:
        resamples = resample(len(references))
        counts = resamples.counts.astype(np.float64)
        finished = arms["group_mean"].finished
        pairs = without_own(np.ones_like(references), counts) / without_own(
            np.outer(finished, np.ones(len(references))), counts
        )
        true = without_own(references, counts)
        true = np.where(true > 0, true, np.nan)  # noise alone can make the estimate of |G|² negative
        unit = resampled_sums({"q": arms["group_mean"].second[1.0]}, resamples)["q"]
        found: dict[str, dict[str, Array]] = {}
        for name, arm in arms.items():
            sums = resampled_sums(arm.scores, resamples)
            row = {score: CATALOGUE[score].formula(sums) for score in SCORES}
            for lam in LAMBDAS:
                q = resampled_sums({"q": arm.second[lam]}, resamples)["q"] / unit
                with np.errstate(invalid="ignore"):  # a resample without any finished problem has no figure
                    s = without_own(arm.kept[lam], counts) * pairs / true
                row |= {f"q {lam:g}": q, f"s {lam:g}": s, f"efficiency {lam:g}": s**2 / q}
            found[name] = row
        share = float(true[0] / without_own(np.ones_like(references), counts)[0] / references.mean())
        return cls(resamples, found, share, int(finished.sum()))

    def row(self, name: str) -> dict[str, Array]:
        """All figures of an arm, and "relative 1" and the like: its efficiency divided by that of the truth."""
        mine, truth = self.figures[name], self.figures["truth"]
        kinds = {f"relative {lam:g}": f"efficiency {lam:g}" for lam in LAMBDAS}
        return mine | {relative: mine[kind] / truth[kind] for relative, kind in kinds.items()}

    def estimate(self, values: Array) -> Estimate:
        """The figure and its interval."""
        return estimate(values, self.resamples, "undefined", problems=self.problems)

    def taus(self, names: Sequence[str]) -> dict[str, dict[str, Estimate]]:
        """Kendall's tau over these arms of each score with each figure of the gradient."""
        kinds = ["q 1", *(f"{kind} {lam:g}" for kind, lam in product(("s", "efficiency"), LAMBDAS))]
        column = {kind: np.stack([self.figures[name][kind] for name in names]) for kind in [*SCORES, *kinds]}
        return {
            score: {
                kind: estimate(
                    kendall(column[score], column[kind]),
                    self.resamples,
                    "undefined",
                    corrected=False,
                    problems=self.problems,
                )
                for kind in kinds
            }
            for score in SCORES
        }


def show(plan: Plan, finished: Mapping[int, Mapping[int, Products]]) -> None:
    """Prints the tables, writes the picture and the report."""
    arms = arms_of(plan, finished)
    figures = Figures.of(arms, np.load(plan.folder / plan.product_folder / "references.npy"))
    estimates = {name: {kind: figures.estimate(each) for kind, each in figures.row(name).items()} for name in arms}
    kinds = [*SCORES, "q 1", *(f"{kind} {lam:g}" for lam in LAMBDAS[1:] for kind in ("s", "efficiency"))]
    print(f"| estimator | {' | '.join(kinds)} |\n|{'---|' * (len(kinds) + 1)}")
    for name, row in estimates.items():
        print(f"| {name} | {' | '.join(_shown(row[kind]) for kind in kinds)} |")
    estimators = [name for name in arms if "," not in name]
    taus = figures.taus(estimators)
    print(f"\n| tau | {' | '.join(taus[SCORES[0]])} |\n|{'---|' * (len(taus[SCORES[0]]) + 1)}")
    for score, row in taus.items():
        print(f"| {score} | {' | '.join(map(_shown, row.values()))} |")
    found = {
        "problems": figures.problems,
        "probes": sum(len(one.returns) for part in finished.values() for one in part.values()),
        "signal in |G|²": round(figures.share, 3),
        "not run": [name for name in (*plan.estimators, PERMUTED) if name not in arms],
        "estimators": {name: {k: _plain(v) for k, v in row.items()} for name, row in estimates.items()},
        "tau": {score: {k: _plain(v) for k, v in row.items()} for score, row in taus.items()},
    }
    report(f"gradients-{plan.policy}", found)
    doses = gradients_of(found).doses[0]
    write_text(Path(f"bench/out/gradients-{plan.policy}.svg"), standalone(dose_picture(doses)))


def _shown(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _plain(found: Estimate) -> list[float | None]:
    return [round(each, 4) if np.isfinite(each) else None for each in (found.value, found.low, found.high)]
