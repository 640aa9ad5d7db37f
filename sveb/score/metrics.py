"""The metrics, each as a function of sums over problems (`statistics.py`).

Every function takes sums as arrays (R,), one element per resample, and returns the metric (R,), NaN where it is
undefined. v is the prediction, g the mean of the truth's draws, s2 the sampling variance of g, V the true value.
The noise correction makes the squared-error metrics unbiased for the error against V itself, as long as v is
independent of the truth's draws. Values outside [0, 1] are scored as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sveb.score.arrays import FloatArray
from sveb.score.calibration import ece_sum

Sums = Mapping[str, FloatArray]


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """numerator / denominator where the denominator is positive, else NaN; (R,)."""
    out = np.full(np.shape(numerator), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def mse(s: Sums) -> FloatArray:
    """mean (v - g)^2 - mean s2: mean squared error against V. >= 0 in expectation, may be slightly negative; down."""
    return ratio(s["error2"] - s["noise"], s["n"])


def mse_between(s: Sums) -> FloatArray:
    """The part of `mse` in the problems' mean errors; adds up to `mse` with `mse_within`; down."""
    return ratio(s["between_error2"] - s["between_noise"], s["n"])


def mse_within(s: Sums) -> FloatArray:
    """The part of `mse` in deviations from the problems' mean errors; down."""
    return ratio(s["within_error2"] - s["within_noise"], s["n"])


def mse_raw(s: Sums) -> FloatArray:
    """mean (v - g)^2, the truth's own noise included; >= 0; down."""
    return ratio(s["error2"], s["n"])


def mae_raw(s: Sums) -> FloatArray:
    """mean |v - g|, the metric of the SVEB paper (arXiv 2605.29782), noise included; >= 0; down."""
    return ratio(s["error_abs"], s["n"])


def noise_floor(s: Sums) -> FloatArray:
    """mean s2: the raw mse of a perfect estimator; a property of the suite, >= 0."""
    return ratio(s["noise"], s["n"])


def bias(s: Sums) -> FloatArray:
    """mean (v - g); > 0 = optimistic; best at zero."""
    return ratio(s["error"], s["n"])


def skill(s: Sums) -> FloatArray:
    """1 - mse / mse(context group mean); (-inf, 1] in expectation, 0 = the group mean; up."""
    return ratio(s["group_gain"], s["group_error2"] - s["noise"])


def skill_32(s: Sums) -> FloatArray:
    """`skill` against the mean of 32 context rollouts, however many the suite has; (-inf, 1] in expectation; up.

    The mean of G rollouts has the error of the problem's value plus Var(R | problem) / G. So the mse of 32 is the mse
    of G plus Var(R | problem) (1 / 32 - 1 / G); Var(R | problem) is the unbiased variance of the group's returns.
    """
    return 1 - ratio(s["error2"] - s["noise"], s["group_error2"] - s["noise"] + s["group_to_32"])


def r2(s: Sums) -> FloatArray:
    """1 - mse / var(V), var(V) = var(g) - mean s2 over all states; (-inf, 1] in expectation; up."""
    mean = ratio(s["truth"], s["n"])
    variance = ratio(s["truth2"], s["n"]) - mean**2 - ratio(s["noise"], s["n"])
    return 1 - ratio(mse(s), variance)


def r2_within(s: Sums) -> FloatArray:
    """`r2` of deviations from each problem's mean; a group average gets at most 0; up."""
    return ratio(s["within_gain"], s["within_truth2"] - s["within_noise"])


def collapse(s: Sums) -> FloatArray:
    """Within-problem variance of v / that of V; >= 0: 0 = one constant per problem, 1 = the spread of the truth."""
    return ratio(s["within_value2"], s["within_truth2"] - s["within_noise"])


def worth(s: Sums) -> FloatArray:
    """mean Var(R | s) / mse: the mean of this many rollouts has the same error; >= 0; up.

    Var(R | s) is the unbiased sample variance of the returns. For returns of 0 or 1 it is g(1 - g) K/(K - 1), an
    estimate of V(1 - V). Infinite if the corrected mse is not above zero.
    """
    out = ratio(s["return_variance"], s["error2"] - s["noise"])
    return np.where((s["n"] > 0) & (s["error2"] - s["noise"] <= 0), np.inf, out)


def explained_variance(s: Sums) -> FloatArray:
    """1 - Var(R - v) / Var(R), pooled over the returns R of all states, as PPO trainers log it; (-inf, ceiling]; up.

    Every state has the same weight. (R - v)^2 is (v - g)^2 plus the spread of the state's returns around g: this is
    exact, so that there is no noise to correct. A constant error does not count.
    """
    return _explained(s, s["error"], s["error2"])


def explained_variance_group(s: Sums) -> FloatArray:
    """`explained_variance` of the group mean; a property of the suite."""
    return _explained(s, s["group_error"], s["group_error2"])


def explained_variance_ceiling(s: Sums) -> FloatArray:
    """`explained_variance` of V itself: Var(V) / Var(R), because returns vary also when V is known; [0, 1]."""
    return 1 - ratio(ratio(s["return_variance"], s["n"]), _return_variance(s))


def _explained(s: Sums, error: FloatArray, error2: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        left = ratio(error2 + s["spread"], s["n"]) - ratio(error, s["n"]) ** 2
    return 1 - ratio(left, _return_variance(s))


def _return_variance(s: Sums) -> FloatArray:
    return ratio(s["truth2"] + s["spread"], s["n"]) - ratio(s["truth"], s["n"]) ** 2


def grad_ev(s: Sums) -> FloatArray:
    """1 - sum w (R - v)^2 / sum w (R - group mean)^2, over the returns R of all states; (-inf, ceiling]; up.

    w is the sum over the tokens of the next step of 1 - 2p + sum p^2, with p the policy's probabilities: the squared
    length of the gradient of log p with respect to the logits. So this is the share of the second moment of the policy
    gradient that v removes as a baseline, if the gradients of different tokens do not interact. 0 = the group mean.
    """
    return ratio(s["weighted_gain"], s["weighted_group_error2"] + s["weighted_spread"])


def grad_ev_ceiling(s: Sums) -> FloatArray:
    """`grad_ev` of V itself; [0, 1] in expectation; a property of the suite."""
    gain = s["weighted_group_error2"] - s["weighted_noise"]
    return ratio(gain, s["weighted_group_error2"] + s["weighted_spread"])


def adv_corr(s: Sums, kind: str) -> FloatArray:
    """Correlation of d = v(s') - v(s) and A = V(s') - V(s) over steps: Cov(d, A) / sqrt(Var(d) Var(A)); up.

    [-1, 1] in expectation; noise can bring it slightly beyond. Var(A) = Var(D) - E[t], see step_changes.py; Cov(d, A) =
    Cov(d, D), as v does not know the draws. 0 if v changes alike at every step.
    """
    said, true = _said_variance(s, kind), _true_variance(s, kind)
    with np.errstate(invalid="ignore", over="ignore"):
        norm = np.sqrt(said) * np.sqrt(np.maximum(true, 0))
    out = ratio(_centred(s, kind, "both", "said", "observed"), norm)
    return np.where((said == 0) & (true > 0), 0.0, out)


def adv_corr_ceiling(s: Sums, kind: str) -> FloatArray:
    """The correlation of A and D, which the noise of the truth limits: sqrt(Var(A) / Var(D)); [0, 1].

    `adv_corr` is already divided by it. Low = the truth's draws say little about single steps.
    """
    share = ratio(_true_variance(s, kind), _centred(s, kind, "observed2", "observed", "observed"))
    return np.asarray(np.sqrt(np.where(share > 0, share, np.nan)), dtype=np.float64)


def adv_r2(s: Sums, kind: str) -> FloatArray:
    """1 - Var(d - A) / Var(A) over steps, noise t subtracted from both; (-inf, 1] in expectation; up.

    0 = a value that changes alike at every step, or never.
    """
    observed = _centred(s, kind, "observed2", "observed", "observed")
    with np.errstate(invalid="ignore", over="ignore"):
        error = s[f"adv_{kind}_error2"] - ratio(
            (s[f"adv_{kind}_said"] - s[f"adv_{kind}_observed"]) ** 2, s[f"adv_{kind}_steps"]
        )
        return ratio(observed - error, observed - s[f"adv_{kind}_noise"])


def adv_slope(s: Sums, kind: str) -> FloatArray:
    """Cov(d, A) / Var(d): the factor by which d must be multiplied to err least; best at 1, below it d is too large."""
    return ratio(_centred(s, kind, "both", "said", "observed"), _said_variance(s, kind))


def _centred(s: Sums, kind: str, product: str, x: str, y: str) -> FloatArray:
    """Sum of products minus what the means alone would give: the steps' number times a (co)variance."""
    with np.errstate(invalid="ignore", over="ignore"):
        of_means = ratio(s[f"adv_{kind}_{x}"] * s[f"adv_{kind}_{y}"], s[f"adv_{kind}_steps"])
        return np.asarray(s[f"adv_{kind}_{product}"] - of_means)


def _said_variance(s: Sums, kind: str) -> FloatArray:
    """The steps' number times Var(d), exactly 0 if nothing but rounding errors is left."""
    out, raw = _centred(s, kind, "said2", "said", "said"), s[f"adv_{kind}_said2"]
    return np.where(out > 1e-12 * raw, out, np.where(np.isnan(out), out, 0.0))


def _true_variance(s: Sums, kind: str) -> FloatArray:
    return np.asarray(_centred(s, kind, "observed2", "observed", "observed") - s[f"adv_{kind}_noise"])


def gae_mse(s: Sums) -> FloatArray:
    """Mean squared error of the GAE(.95) advantages of path states, the truth's noise removed; >= 0; down.

    At lambda 1 it would be `mse`, at lambda 0 the error of single steps.
    """
    return ratio(s["gae_error2"] - s["gae_noise"], s["n"])


def spearman(s: Sums) -> FloatArray:
    """Spearman's rho of v and g over all states, ranked again on each resample (rank_correlation.py); [-1, 1]; up."""
    return s["pooled_rho"]


def spearman_ceiling(s: Sums) -> FloatArray:
    """The rho that a perfect estimator could reach against g; [0, 1]; a property of the suite.

    The square root of the reliability of g. The reliability is rho between the means of two halves of the draws,
    corrected to the full number of draws by the Spearman-Brown formula (1910): 2 rho / (1 + rho).
    """
    rho = s["halves_rho"]
    with np.errstate(invalid="ignore"):
        return np.sqrt(ratio(2 * rho, np.where(rho > 0, 1 + rho, np.nan)))


def spearman_of_ceiling(s: Sums) -> FloatArray:
    """`spearman` / `spearman_ceiling`; 1 = the best that these draws can measure, more only by chance; up."""
    return ratio(spearman(s), spearman_ceiling(s))


def spearman_within(s: Sums) -> FloatArray:
    """Mean over problems (>= 3 path states, truth not constant) of rho inside the problem; [-1, 1]; up."""
    return ratio(s["rho"], s["rho_problems"])


def order(s: Sums, prefix: str) -> FloatArray:
    """Agreement on resolved pairs, rescaled: .5 = chance, 1 = the ceiling of certain knowledge; [0, 1]; up.

    A perfect estimator comes close to 1 only if most resolved pairs truly differ. If steps change V by less than its
    sampling noise, some near-equal pairs are resolved wrongly by chance, which limits the metric. Use it to compare
    estimators on one suite, not to compare suites.
    """
    return _rescaled(order_share(s, prefix), order_ceiling(s, prefix))


def order_share(s: Sums, prefix: str) -> FloatArray:
    """Agreement on resolved pairs, not rescaled: the expected share of pairs in the true order; [0, 1]; up."""
    return ratio(s[f"{prefix}_agreement"], s[f"{prefix}_resolved"])


def order_ceiling(s: Sums, prefix: str) -> FloatArray:
    """The highest `order_share` that the truth's draws can certify; (.95, 1]; a property of the suite."""
    return ratio(s[f"{prefix}_ceiling"], s[f"{prefix}_resolved"])


def order_steps(s: Sums) -> FloatArray:
    """As `order`, but steps after which V falls and steps after which it rises count alike; [0, 1]; up.

    Most steps raise V a little and a few lower it much. If each pair had the same weight, a value that always rises
    would be better than chance, without knowing anything about a state.
    """
    return _rescaled(order_steps_share(s), order_steps_ceiling(s))


def order_steps_share(s: Sums) -> FloatArray:
    """Mean of two expected shares: of resolved falls and of resolved rises, those in true order; [0, 1]; up."""
    return _falls_and_rises(s, "agreed")


def order_steps_ceiling(s: Sums) -> FloatArray:
    """The highest `order_steps_share` that the truth's draws can certify; [.5, 1]; a property of the suite."""
    return _falls_and_rises(s, "ceiling")


def _falls_and_rises(s: Sums, what: str) -> FloatArray:
    of_falls, of_rises = (ratio(s[f"steps_{side}_{what}"], s[f"steps_{side}"]) for side in ("falls", "rises"))
    return (of_falls + of_rises) / 2


def _rescaled(share: FloatArray, ceiling: FloatArray) -> FloatArray:
    return 0.5 + 0.5 * ratio(share - 0.5, ceiling - 0.5)


def order_coverage(s: Sums, prefix: str) -> FloatArray:
    """Share of pairs that are resolved; [0, 1]; a property of the suite."""
    return ratio(s[f"{prefix}_resolved"], s[f"{prefix}_pairs"])


def order_soft(s: Sums, prefix: str) -> FloatArray:
    """`order` over all pairs, resolved or not: there is no threshold, and no pair is left out; [0, 1]; up."""
    pairs = s[f"{prefix}_pairs"]
    gain = s[f"{prefix}_soft_agreement"] - pairs / 2
    return 0.5 + 0.5 * ratio(gain, s[f"{prefix}_soft_ceiling"] - pairs / 2)


def order_gap(s: Sums) -> FloatArray:
    """sum sgn(v_a - v_b)(g_a - g_b) over all pairs of a problem / the same of an oracle that knows half the draws; up.

    Weighs a pair by its gap, so that near-equal states hardly count. The numerator is unbiased for the same sum with
    V; > 1 = orders better than half of the draws do.
    """
    return ratio(s["gap"], s["gap_oracle"])


def regret_siblings(s: Sums) -> FloatArray:
    """Mean truth lost by taking the step best by v: max g - g(taken), ties by fractions; [0, 1]; down.

    Both terms are noisy means. The maximum of several is biased upwards, so even a perfect estimator loses a little.
    """
    return ratio(s["regret"], s["groups"])


def top1_siblings(s: Sums) -> FloatArray:
    """Share of sibling groups whose best step by v is best by g, ties by fractions (VinePPO's test); [0, 1]; up."""
    return ratio(s["top1"], s["groups"])


def ece(s: Sums) -> FloatArray:
    """Expected calibration error: |mean v - mean g| over 10 equal-mass bins of v, weighted by size; >= 0; down."""
    return ratio(ece_sum(s), s["n"])


def coverage(s: Sums) -> FloatArray:
    """Share of all states for which the estimator gave a value; [0, 1]; up."""
    return ratio(s["given"], s["states"])
