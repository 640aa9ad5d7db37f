"""The catalogue of metrics, one row per metric. The scorer, the command line and the leaderboard read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from sveb.score import metrics as m
from sveb.score.arrays import FloatArray

Direction = Literal["up", "down", "zero", "one", "none"]
Need = Literal["path", "noise", "halves", "context", "steps", "siblings", "within"]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and computed, and when it is undefined.

    `direction`: what is better: higher (up), lower (down), closer to 0 (zero) or closer to 1 (one). A property of the
    suite, equal for all estimators, has none. `low`, `high`: the range in expectation, inf if unbounded. `needs`: what
    the suite must contain. `undefined`: why the metric may still not exist. `formula` maps sums (R,) to the metric
    (R,). `corrected`: see `bootstrap.estimate`.
    """

    name: str
    title: str
    direction: Direction
    low: float
    high: float
    definition: str
    needs: tuple[Need, ...]
    undefined: str
    formula: Callable[[m.Sums], FloatArray] = field(repr=False)
    corrected: bool = True


_NO_STATES = "no path states"
_NO_GROUP_ERROR = "the group mean's mse is not above zero"
_FLAT = "the truth does not vary beyond its sampling noise"
_FLAT_WITHIN = "the truth does not vary inside problems beyond its sampling noise"
_RANKLESS = "no problem has three path states whose truth varies"
_UNRESOLVED = "no resolved pair: the truth's draws settle no order"


_NO_VARIANCE = "neither do returns vary nor does the group mean err"
_ORDERLESS = "no pair: the truth's draws are the same everywhere"
_UNRELIABLE = "the two halves of the truth's draws do not rank the states alike"
_UNORDERED = "the two halves of the truth's draws order no pair alike"


def _order(kind: Literal["steps", "siblings", "within"], pairs: str) -> tuple[Metric, ...]:
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
    Metric("worth", "Worth in rollouts", "up", 0, inf, "mean Var(R | s) / mse: rollouts whose mean errs as much",
           ("path", "noise"), "unbounded: the corrected mse is not above zero", m.worth),
    Metric("spearman", "Spearman", "up", -1, 1, "rank correlation of v and g over all states; a constant v gives 0",
           ("path",), "the truth is constant", m.spearman),
    Metric("spearman_ceiling", "Spearman, ceiling", "none", 0, 1, "the rank correlation that knowing V would reach",
           ("path", "halves"), _UNRELIABLE, m.spearman_ceiling),
    Metric("spearman_of_ceiling", "Spearman / ceiling", "up", -inf, inf, "spearman / its ceiling: 1 = knows V's ranks",
           ("path", "halves"), _UNRELIABLE, m.spearman_of_ceiling),
    Metric("spearman_within", "Spearman within problems", "up", -1, 1, "mean rank correlation inside a problem",
           ("path",), _RANKLESS, m.spearman_within),
    *_order("steps", "pairs of consecutive steps"),
    *_order("siblings", "pairs of sibling steps"),
    *_order("within", "pairs of path states of one problem"),
    Metric("order_soft", "Order within, all pairs", "up", 0, 1, "order_within over all pairs, resolved or not",
           ("within",), _ORDERLESS, lambda s: m.order_soft(s, "within")),
    Metric("order_gap", "Order within, by gap", "up", -inf, inf,
           "sum sgn(v_a - v_b)(g_a - g_b) / that of an oracle on half of the draws: 1 = as good as half of them",
           ("within", "halves"), _UNORDERED, m.order_gap),
    Metric("top1_siblings", "Top-1 of siblings", "up", 0, 1, "share of sibling groups whose best by v is best by truth",
           ("siblings",), "no sibling groups", m.top1_siblings),
    Metric("regret_siblings", "Regret of siblings", "down", 0, 1, "mean of g lost by taking the sibling best by v",
           ("siblings",), "no sibling groups", m.regret_siblings),
    Metric("ece", "Calibration error", "down", 0, inf, "mean |mean v - mean g| over 10 equal-mass bins of v",
           ("path",), _NO_STATES, m.ece, corrected=False),
    Metric("return_ev", "Explained variance of returns", "up", -inf, 1,
           "1 - (Var(R | s) + mse) / (Var(R | s) + mse of the group mean): advantage variance removed beyond it",
           ("path", "noise", "context"), _NO_VARIANCE, m.return_ev),
    Metric("coverage", "Coverage", "up", 0, 1, "share of states for which the estimator gave a value",
           (), "no states", m.coverage),
)  # fmt: skip

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _ROWS}
