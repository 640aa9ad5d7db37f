"""The catalogue of metrics, one row per metric. The scorer, the command line and the leaderboard read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from sveb.score import metrics as m
from sveb.score.arrays import FloatArray

Direction = Literal["up", "down", "zero", "one", "none"]
Need = Literal[
    "path", "noise", "halves", "context", "group_noise", "weights", "steps", "siblings", "within", "alternatives"
]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and computed, and when it is undefined.

    `direction`: what is better: higher (up), lower (down), closer to 0 (zero) or closer to 1 (one). A property of the
    suite, equal for all estimators, has none. `low`, `high`: the range in expectation, inf if unbounded. `needs`: what
    the suite must contain. `undefined`: why the metric may still not exist. `formula` maps sums (R,) to the metric
    (R,). `corrected`: see `bootstrap.estimate`. `informed`: the statistic that counts the problems on which the figure
    depends, if not on all: of tied predictions few problems may say anything, and the interval must be wider.
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
    informed: str | None = None


_NO_STATES = "no path states"
_NO_GROUP_ERROR = "the group mean's mse is not above zero"
_FLAT = "the truth does not vary beyond its sampling noise"
_FLAT_WITHIN = "the truth does not vary inside problems beyond its sampling noise"
_RANKLESS = "no problem has three path states whose truth varies"
_UNRESOLVED = "no resolved pair: the truth's draws settle no order"
_ONE_WAY = "no resolved pair where V falls, or none where it rises: the truth's draws settle no order"
_NO_VARIANCE = "all returns are the same"
_NO_GRADIENT = "no return differs from the group mean where the next step has a weight"
_NO_STEPS = "no step changes the truth beyond its sampling noise"
_ORDERLESS = "no pair: the truth's draws are the same everywhere"
_UNRELIABLE = "the truth is constant, or the two halves of its draws do not rank the states alike"
_UNORDERED = "the truth is constant inside problems, or the two halves of its draws order no pair alike"


def _order(kind: Literal["siblings", "within"], pairs: str) -> tuple[Metric, ...]:
    def of(formula: Callable[[m.Sums, str], FloatArray]) -> Callable[[m.Sums], FloatArray]:
        return lambda sums: formula(sums, kind)

    name, title = f"order_{kind}", f"Order of {kind}"
    return (
        Metric(name, title, "up", 0, 1, f"agreement with the true order of resolved {pairs}: .5 = chance, 1 = ceiling",
               (kind,), _UNRESOLVED, of(m.order), informed=f"{kind}_resolved_untied"),
        Metric(f"{name}_share", f"{title}, unscaled", "up", 0, 1, f"expected share of resolved {pairs} in true order",
               (kind,), _UNRESOLVED, of(m.order_share), informed=f"{kind}_resolved_untied"),
        Metric(f"{name}_ceiling", f"{title}, ceiling", "none", 0.95, 1, "the unscaled share of an oracle",
               (kind,), _UNRESOLVED, of(m.order_ceiling)),
        Metric(f"{name}_coverage", f"{title}, resolved", "none", 0, 1, f"share of {pairs} that are resolved",
               (kind,), _UNRESOLVED, of(m.order_coverage)),
    )  # fmt: skip


def _advantages(kind: Literal["path", "siblings"], need: Need, steps: str) -> tuple[Metric, ...]:
    def of(formula: Callable[[m.Sums, str], FloatArray]) -> Callable[[m.Sums], FloatArray]:
        return lambda sums: formula(sums, kind)

    end, where = ("", "") if kind == "path" else ("_siblings", " of siblings")
    return (
        Metric(f"adv_corr{end}", f"Correlation of advantages{where}", "up", -1, 1,
               f"correlation of the change in v with the change in V, over {steps}, the truth's noise removed",
               (need, "noise"), _NO_STEPS, of(m.adv_corr)),
        Metric(f"adv_corr{end}_ceiling", f"Correlation of advantages{where}, ceiling", "none", 0, 1,
               "correlation of the true change with the truth's own draws, which noise limits",
               (need, "noise"), _NO_STEPS, of(m.adv_corr_ceiling)),
        Metric(f"adv_r2{end}", f"R2 of advantages{where}", "up", -inf, 1,
               f"1 - squared error of the change in v / squared change in V, over {steps}, the truth's noise removed",
               (need, "noise"), _NO_STEPS, of(m.adv_r2)),
        Metric(f"adv_slope{end}", f"Slope of advantages{where}", "one", -inf, inf,
               f"change in V for each unit of change in v, over {steps}: below 1 = v changes too much",
               (need,), "v does not change from step to step", of(m.adv_slope)),
    )  # fmt: skip


_ROWS = (
    Metric("skill", "Skill", "up", -inf, 1, "1 - mse / mse(group mean): 0 = the group mean, 1 = perfect",
           ("path", "noise", "context"), _NO_GROUP_ERROR, m.skill),
    Metric("skill_32", "Skill against 32 rollouts", "up", -inf, 1,
           "skill against the mean of 32 rollouts: comparable between suites with groups of different sizes",
           ("path", "noise", "context", "group_noise"), _NO_GROUP_ERROR, m.skill_32),
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
    Metric("collapse", "Spread within problems", "none", 0, inf,
           "within-problem variance of v / of V: 0 = collapsed; a calibrated estimator has its r2_within here",
           ("path", "noise"), _FLAT_WITHIN, m.collapse),
    Metric("worth", "Worth in rollouts", "up", 0, inf, "mean Var(R | s) / mse: rollouts whose mean errs as much",
           ("path", "noise"), "unbounded: the corrected mse is not above zero", m.worth),
    *_advantages("path", "steps", "consecutive steps"),
    *_advantages("siblings", "alternatives", "steps from a state to its siblings"),
    Metric("gae_mse", "MSE of GAE(.95)", "down", 0, inf,
           "squared error of GAE advantages at lambda .95, an action = from one scored state to the next",
           ("path", "noise"), _NO_STATES, m.gae_mse),
    Metric("spearman", "Spearman", "up", -1, 1, "rank correlation of v and g over all states; a constant v gives 0",
           ("path",), "the truth is constant", m.spearman),
    Metric("spearman_ceiling", "Spearman, ceiling", "none", 0, 1, "the rank correlation that knowing V would reach",
           ("path", "halves"), _UNRELIABLE, m.spearman_ceiling),
    Metric("spearman_of_ceiling", "Spearman / ceiling", "up", -inf, inf, "spearman / its ceiling: 1 = knows V's ranks",
           ("path", "halves"), _UNRELIABLE, m.spearman_of_ceiling),
    Metric("spearman_within", "Spearman within problems", "up", -1, 1, "mean rank correlation inside a problem",
           ("path",), _RANKLESS, m.spearman_within),
    Metric("order_steps", "Order of steps", "up", 0, 1,
           "agreement with the true order of resolved pairs of consecutive steps, falls and rises of V weighted alike: "
           ".5 = chance, 1 = ceiling",
           ("steps",), _ONE_WAY, m.order_steps, informed="steps_resolved_untied"),
    Metric("order_steps_share", "Order of steps, unscaled", "up", 0, 1,
           "mean of the expected shares in true order of resolved falls and of resolved rises",
           ("steps",), _ONE_WAY, m.order_steps_share, informed="steps_resolved_untied"),
    Metric("order_steps_ceiling", "Order of steps, ceiling", "none", 0.5, 1, "the unscaled share of an oracle",
           ("steps",), _ONE_WAY, m.order_steps_ceiling),
    Metric("order_steps_coverage", "Order of steps, resolved", "none", 0, 1,
           "share of pairs of consecutive steps that are resolved",
           ("steps",), _UNRESOLVED, lambda s: m.order_coverage(s, "steps")),
    *_order("siblings", "pairs of sibling steps"),
    *_order("within", "pairs of path states of one problem"),
    Metric("order_soft", "Order within, all pairs", "up", 0, 1, "order_within over all pairs, resolved or not",
           ("within",), _ORDERLESS, lambda s: m.order_soft(s, "within"), informed="within_untied"),
    Metric("order_gap", "Order within, by gap", "up", -inf, inf,
           "sum sgn(v_a - v_b)(g_a - g_b) / that of an oracle on half of the draws: 1 = as good as half of them",
           ("within", "halves"), _UNORDERED, m.order_gap, informed="within_untied"),
    Metric("top1_siblings", "Top-1 of siblings", "up", 0, 1, "share of sibling groups whose best by v is best by truth",
           ("siblings",), "no sibling groups", m.top1_siblings),
    Metric("regret_siblings", "Regret of siblings", "down", 0, 1, "mean of g lost by taking the sibling best by v",
           ("siblings",), "no sibling groups", m.regret_siblings),
    Metric("ece", "Calibration error", "down", 0, inf, "mean |mean v - mean g| over 10 equal-mass bins of v",
           ("path",), _NO_STATES, m.ece, corrected=False),
    Metric("explained_variance", "Explained variance", "up", -inf, 1,
           "1 - Var(R - v) / Var(R) over all returns R of all states, as trainers log it",
           ("path",), _NO_VARIANCE, m.explained_variance),
    Metric("explained_variance_group", "Explained variance, group mean", "none", -inf, 1,
           "explained_variance of the group mean", ("path", "context"), _NO_VARIANCE, m.explained_variance_group),
    Metric("explained_variance_ceiling", "Explained variance, ceiling", "none", 0, 1,
           "explained_variance of V: returns vary also when V is known",
           ("path", "noise"), _NO_VARIANCE, m.explained_variance_ceiling),
    Metric("grad_ev", "Gradient variance removed", "up", -inf, 1,
           "1 - sum w (R - v)^2 / sum w (R - group mean)^2; w: the squared gradient of the next step's tokens",
           ("path", "context", "weights"), _NO_GRADIENT, m.grad_ev),
    Metric("grad_ev_ceiling", "Gradient variance removed, ceiling", "none", 0, 1, "grad_ev of V",
           ("path", "context", "weights", "noise"), _NO_GRADIENT, m.grad_ev_ceiling),
    Metric("coverage", "Coverage", "up", 0, 1, "share of states for which the estimator gave a value",
           (), "no states", m.coverage),
)  # fmt: skip

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _ROWS}
