"""The catalogue of metrics: one row each, read by the scorer, the command line and the leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from sveb.score import metrics as m
from sveb.score.arrays import FloatArray

Direction = Literal["up", "down", "zero", "one", "none"]
Need = Literal["path", "noise", "context", "binary", "steps", "siblings"]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown, computed and refused.

    `direction`: more is better (up), less is (down), closer to 0 or to 1 is (zero, one), or a property of the suite
    on which estimators do not differ (none). `low`, `high`: the range in expectation, inf where open. `needs`: what
    the suite must offer. `undefined`: why the metric may still not exist. `formula` maps sums (R,) to the metric
    (R,); None for `spearman`, which is no function of sums over problems.
    """

    name: str
    title: str
    direction: Direction
    low: float
    high: float
    definition: str
    needs: tuple[Need, ...]
    undefined: str
    formula: Callable[[m.Sums], FloatArray] | None = field(repr=False)


_NO_STATES = "no path states"
_NO_GROUP_ERROR = "the group mean's mse is not above zero"
_FLAT = "the truth does not vary beyond its sampling noise"
_FLAT_WITHIN = "the truth does not vary inside problems beyond its sampling noise"
_RANKLESS = "no problem has three path states whose truth varies"
_UNRESOLVED = "no resolved pair: the truth's draws settle no order"


def _order(kind: Literal["steps", "siblings"], pairs: str) -> tuple[Metric, ...]:
    def of(formula: Callable[[m.Sums, str], FloatArray]) -> Callable[[m.Sums], FloatArray]:
        return lambda sums: formula(sums, kind)

    name, title = f"order_{kind}", f"Order of {kind}"
    return (
        Metric(name, title, "up", 0, 1, f"agreement with the true order of resolved {pairs}: .5 = chance, 1 = ceiling",
               (kind,), _UNRESOLVED, of(m.order)),
        Metric(f"{name}_share", f"{title}, unscaled", "up", 0, 1, f"expected share of resolved {pairs} in true order",
               (kind,), _UNRESOLVED, of(m.order_share)),
        Metric(f"{name}_ceiling", f"{title}, ceiling", "none", 0.95, 1, "the unscaled share of an oracle",
               (kind,), _UNRESOLVED, of(m.order_ceiling)),
        Metric(f"{name}_coverage", f"{title}, resolved", "none", 0, 1, f"share of {pairs} that are resolved",
               (kind,), _UNRESOLVED, of(m.order_coverage)),
    )  # fmt: skip


_ROWS = (
    Metric("skill", "Skill", "up", -inf, 1, "1 - mse / mse(group mean): 0 = the group mean, 1 = perfect",
           ("path", "noise", "context"), _NO_GROUP_ERROR, m.skill),
    Metric("mse", "MSE", "down", 0, inf, "mean (v - g)^2 - mean s2: squared error against V, truth's noise removed",
           ("path", "noise"), _NO_STATES, m.mse),
    Metric("mse_between", "MSE between problems", "down", 0, inf, "part of mse in the problems' mean errors",
           ("path", "noise"), _NO_STATES, m.mse_between),
    Metric("mse_within", "MSE within problems", "down", 0, inf, "part of mse in deviations from the mean errors",
           ("path", "noise"), _NO_STATES, m.mse_within),
    Metric("mse_raw", "MSE, raw", "down", 0, inf, "mean (v - g)^2, the truth's noise included",
           ("path",), _NO_STATES, m.mse_raw),
    Metric("mae_raw", "MAE, raw", "down", 0, inf, "mean |v - g|, the truth's noise included (the paper's metric)",
           ("path",), _NO_STATES, m.mae_raw),
    Metric("noise_floor", "Noise floor", "none", 0, inf, "mean s2: the raw MSE of a perfect estimator",
           ("path", "noise"), _NO_STATES, m.noise_floor),
    Metric("bias", "Bias", "zero", -inf, inf, "mean (v - g): above 0 = optimistic",
           ("path",), _NO_STATES, m.bias),
    Metric("r2", "R2", "up", -inf, 1, "1 - mse / var(V) over all states",
           ("path", "noise"), _FLAT, m.r2),
    Metric("r2_within", "R2 within problems", "up", -inf, 1, "R2 of deviations from the problem's mean: group mean = 0",
           ("path", "noise"), _FLAT_WITHIN, m.r2_within),
    Metric("collapse", "Spread within problems", "one", 0, inf, "within-problem variance of v / of V: 0 = collapsed",
           ("path", "noise"), _FLAT_WITHIN, m.collapse),
    Metric("worth", "Worth in rollouts", "up", 0, inf, "mean V(1 - V) / mse: rollouts whose mean errs as much",
           ("path", "noise", "binary"), "unbounded: the corrected mse is not above zero", m.worth),
    Metric("spearman", "Spearman", "up", -1, 1, "rank correlation of v and g over all states; a constant v gives 0",
           ("path",), "the truth is constant", None),
    Metric("spearman_within", "Spearman within problems", "up", -1, 1, "mean rank correlation inside a problem",
           ("path",), _RANKLESS, m.spearman_within),
    *_order("steps", "pairs of consecutive steps"),
    *_order("siblings", "pairs of sibling steps"),
    Metric("top1_siblings", "Top-1 of siblings", "up", 0, 1, "share of sibling groups whose best by v is best by truth",
           ("siblings",), "no sibling groups", m.top1_siblings),
    Metric("ece", "Calibration error", "down", 0, inf, "mean |mean v - mean g| over 10 equal-mass bins of v",
           ("path",), _NO_STATES, m.ece),
    Metric("coverage", "Coverage", "up", 0, 1, "share of states for which the estimator gave a value",
           (), "no states", m.coverage),
)  # fmt: skip

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _ROWS}
