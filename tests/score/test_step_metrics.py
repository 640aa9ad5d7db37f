"""Metrics of steps and of explained variance: against plain loops, by hand, without noise, and edge cases."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from sveb.score.bootstrap import resample
from sveb.score.returns import return_statistics
from sveb.score.score import evaluate
from sveb.score.slices import slices
from sveb.score.synthetic import DECISIVE, redrawn, simulate
from tests.support.known_values import known_exactly, truth_of


def scores(truth, values, replicates=1):
    values = np.asarray(values, dtype=float)
    resamples = resample(len(truth.problem_ids), replicates=replicates)
    return evaluate(truth, values, np.ones(len(values), dtype=bool), resamples)


def points(truth, values):
    return {name: e.value for name, e in scores(truth, values).items()}


def by_plain_loops(truth, returns, values, context, lam=0.95):
    """The new metrics from lists of single returns, with nothing but loops: `returns[i]` of state i, `context[p]`."""

    def mean(x):
        return sum(x) / len(x)

    def variance(x):
        return sum((y - mean(x)) ** 2 for y in x) / (len(x) - 1)

    g = [mean(r) for r in returns]
    s2 = [variance(r) / len(r) for r in returns]
    path = [i for i, kind in enumerate(truth.kind) if kind == "path"]
    found = {}

    steps = {"": [], "_siblings": []}
    for i in range(len(g)):
        for j in range(len(g)):
            same = truth.rollout[i] == truth.rollout[j] and truth.kind[i] == truth.kind[j] == "path"
            if same and truth.step_index[j] == truth.step_index[i] + 1:
                steps[""].append((i, j))
            if truth.kind[j] == "sibling" and truth.parent[j] == i:
                steps["_siblings"].append((i, j))
    for end, pairs in steps.items():
        said = [values[j] - values[i] for i, j in pairs]
        change = [g[j] - g[i] for i, j in pairs]
        noise = sum(s2[i] + s2[j] for i, j in pairs)
        said2 = sum((d - mean(said)) ** 2 for d in said)
        observed2 = sum((c - mean(change)) ** 2 for c in change)
        both = sum((d - mean(said)) * (c - mean(change)) for d, c in zip(said, change, strict=True))
        errors = [d - c for d, c in zip(said, change, strict=True)]
        error2 = sum((e - mean(errors)) ** 2 for e in errors) - noise
        true2 = observed2 - noise
        found[f"adv_corr{end}"] = both / (said2 * true2) ** 0.5
        found[f"adv_corr{end}_ceiling"] = (true2 / observed2) ** 0.5
        found[f"adv_r2{end}"] = 1 - error2 / true2
        found[f"adv_slope{end}"] = both / said2

    falls = rises = 0.0
    right, best = [0.0, 0.0], [0.0, 0.0]
    for i, j in steps[""]:
        n_i, n_j = len(returns[i]), len(returns[j])
        a, b = beta(g[i] * n_i + 0.5, (1 - g[i]) * n_i + 0.5), beta(g[j] * n_j + 0.5, (1 - g[j]) * n_j + 0.5)
        q = quad(lambda x, a=a, b=b: a.pdf(x) * b.cdf(x), 0, 1, limit=500)[0]
        if 0.05 <= q <= 0.95:
            continue
        falls, rises = falls + q, rises + 1 - q
        said = 0.5 if values[i] == values[j] else float(values[i] > values[j])
        right = [right[0] + q * said, right[1] + (1 - q) * (1 - said)]
        best = [best[0] + q * (q > 0.5), best[1] + (1 - q) * (q < 0.5)]
    share, ceiling = (mean([x / falls, y / rises]) for x, y in (right, best))
    found["order_steps_share"], found["order_steps_ceiling"] = share, ceiling
    found["order_steps"] = 0.5 + 0.5 * (share - 0.5) / (ceiling - 0.5)

    total = 0.0
    for i in path:
        later = sorted((truth.step_index[j], j) for j in path if truth.rollout[j] == truth.rollout[i])
        later = [j for step, j in later if step > truth.step_index[i]]
        # GAE of v and of the truth's means, written out: the sum of lambda^l times the changes, then a return of 1
        gae = []
        for x in (values, g):
            chain = [x[i], *(x[j] for j in later), 1.0]
            gae.append(sum(lam**step * (chain[step + 1] - chain[step]) for step in range(len(chain) - 1)))
        noise = s2[i] + sum(((1 - lam) * lam**step) ** 2 * s2[j] for step, j in enumerate(later))
        total += (gae[0] - gae[1]) ** 2 - noise
    found["gae_mse"] = total / len(path)

    def spread(x):
        """Variance over all returns of all path states, each state with the same weight, of the return minus x."""
        pairs = [(r - x[i], 1 / len(returns[i])) for i in path for r in returns[i]]
        middle = sum(y * w for y, w in pairs) / len(path)
        return sum(w * (y - middle) ** 2 for y, w in pairs) / len(path)

    group = [mean(context[p]) for p in truth.problem]
    whole = spread([0.0] * len(g))
    found["explained_variance"] = 1 - spread(values) / whole
    found["explained_variance_group"] = 1 - spread(group) / whole
    found["explained_variance_ceiling"] = 1 - mean([variance(returns[i]) for i in path]) / whole

    def weighted(x):
        return sum(truth.next_weight[i] * mean([(r - x[i]) ** 2 for r in returns[i]]) for i in path)

    found["grad_ev"] = 1 - weighted(values) / weighted(group)
    found["grad_ev_ceiling"] = 1 - sum(truth.next_weight[i] * variance(returns[i]) for i in path) / weighted(group)

    error = sum((values[i] - g[i]) ** 2 - s2[i] for i in path)
    of_32 = 0.0
    for i in path:
        group_returns = context[truth.problem[i]]
        of_32 += (group[i] - g[i]) ** 2 - s2[i] + variance(group_returns) * (1 / 32 - 1 / len(group_returns))
    found["skill_32"] = 1 - error / of_32
    return found


@pytest.mark.parametrize("seed", range(4))
def test_plain_loops_give_the_same_figures(seed):
    rng = np.random.default_rng(seed)
    sim = simulate(seed, problems=7, rollouts=2, group=8, success=DECISIVE)
    keep = rng.random(len(sim.value)) > 0.2  # some steps are missing, so that some pairs are not consecutive
    keep[sim.truth.parent[sim.truth.parent >= 0]] = True
    draws = np.where(keep, rng.integers(12, 20, len(keep)), 0)
    returns = [rng.binomial(1, v, k).astype(float).tolist() for v, k in zip(sim.value, draws, strict=True)]
    context = [list((rng.random(8) < m).astype(float)) for m in sim.truth.group_mean]
    truth = replace(
        sim.truth,
        returns=return_statistics(np.concatenate(returns), np.cumsum([0, *map(len, returns)])),
        group_mean=np.array([np.mean(c) for c in context]),
        group_n=np.full(7, 8),
        group_noise=np.array([np.var(c, ddof=1) / 8 for c in context]),
    )
    values = rng.random(len(keep))
    got = points(truth, values)
    rows = np.flatnonzero(keep)
    place = {int(i): n for n, i in enumerate(rows)} | {-1: -1}
    kept = replace(
        truth, kind=truth.kind[rows], rollout=truth.rollout[rows], step_index=truth.step_index[rows],
        parent=np.array([place[p] for p in truth.parent[rows].tolist()]), problem=truth.problem[rows],
        next_weight=truth.next_weight[rows],
    )  # fmt: skip
    expected = by_plain_loops(kept, [returns[i] for i in rows], values[rows].tolist(), context)
    for name, value in expected.items():
        # an integral over two densities is less exact than the sums
        assert got[name] == pytest.approx(value, abs=1e-6 if name.startswith("order") else 1e-9), name


# One rollout of three steps: g = .25 .75 .5, s2 = 1/16 1/16 1/12
THREE = truth_of([0, 0, 0, 1], [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], group_mean=[0.5, 0.25])


def test_advantages_by_hand():
    got = points(THREE, [0.2, 0.4, 0.5, 0.3])  # d = .2, .1; D = .5, -.25, from their means .05, -.05 and .375, -.375
    noise = 1 / 8 + 7 / 48
    true2 = 2 * 0.375**2 - noise
    assert got["adv_slope"] == pytest.approx(0.375 / 0.05)
    assert got["adv_corr"] == pytest.approx(2 * 0.05 * 0.375 / np.sqrt(2 * 0.05**2 * true2))
    assert got["adv_corr_ceiling"] == pytest.approx(np.sqrt(true2 / (2 * 0.375**2)))
    assert got["adv_r2"] == pytest.approx(1 - (2 * 0.325**2 - noise) / true2)


@pytest.mark.parametrize("change", [0.01, -0.03, 1e-7])
def test_a_value_that_changes_alike_at_every_step_knows_no_step(change):
    """Values rise after most steps and fall after most alternatives: knowing that is no knowledge of a state."""
    sim = simulate(4, problems=60, k=64)
    truth = sim.truth
    level = truth.group_mean[truth.problem]
    drifting = scores(truth, level + change * truth.step_index)
    for name in ("adv_corr", "adv_r2", "adv_corr_siblings", "adv_r2_siblings"):
        assert drifting[name].value == 0.0, name
    assert drifting["order_steps"].value == 0.5
    informed = 0.3 * sim.value + 0.5 * level
    plain, moved = scores(truth, informed), scores(truth, informed + change * truth.step_index)
    for name in ("adv_corr", "adv_r2", "adv_slope", "adv_corr_siblings"):
        assert moved[name].value == pytest.approx(plain[name].value, abs=1e-5), name


def test_gae_by_hand():
    got = points(THREE, [0.2, 0.4, 0.5, 0.3])  # e = -.05, -.35, 0, .05
    errors = [0.05 + 0.05 * (-0.35 + 0.95 * 0), 0.35 + 0.05 * 0, 0, -0.05]
    noise = [1 / 16 + 0.05**2 * (1 / 16 + 0.95**2 / 12), 1 / 16 + 0.05**2 / 12, 1 / 12, 1 / 16]
    assert got["gae_mse"] == pytest.approx((sum(e * e for e in errors) - sum(noise)) / 4)


def test_steps_that_do_not_follow_each_other_are_no_pair():
    apart = replace(THREE, step_index=np.array([1, 3, 5, 1]))
    got = scores(apart, [0.2, 0.4, 0.5, 0.3])
    for name in ("adv_corr", "adv_r2", "adv_slope", "order_steps"):
        assert np.isnan(got[name].value), name
        assert got[name].note == "no rollout has path states at two consecutive steps"
    assert np.isfinite(got["gae_mse"].value), "an action may have two steps"


def test_a_value_that_never_changes_has_correlation_0_and_no_slope():
    sim = simulate(4, problems=60, k=64)
    got = scores(sim.truth, sim.truth.group_mean[sim.truth.problem], replicates=50)
    for name in ("adv_corr", "adv_r2", "adv_corr_siblings", "adv_r2_siblings", "grad_ev"):
        assert (got[name].value, got[name].low, got[name].high) == (0.0, 0.0, 0.0), name
    assert got["adv_slope"].note == "v does not change from step to step"
    assert got["explained_variance"] == got["explained_variance_group"]


def test_a_truth_without_changes_has_no_correlation_and_says_why():
    got = scores(truth_of([0, 0, 1, 1], [[0, 0], [0, 0], [1, 1], [1, 1]]), [0.1, 0.4, 0.7, 0.9])
    for name in ("adv_corr", "adv_r2", "adv_corr_ceiling"):
        assert got[name].note == "no step changes the truth beyond its sampling noise", name
    assert got["adv_slope"].value == 0.0
    assert got["explained_variance_ceiling"].value == 1.0


def test_equal_returns_have_no_explained_variance():
    got = scores(truth_of([0, 0, 1, 1], [[1, 1]] * 4), [0.1, 0.4, 0.7, 0.9])
    for name in ("explained_variance", "explained_variance_group", "explained_variance_ceiling"):
        assert got[name].note == "all returns are the same", name


def test_one_state_a_rollout_has_no_steps_and_the_gae_error_is_the_mse():
    got = scores(truth_of([0, 1, 2], [[1, 0], [1, 1], [0, 0]]), [0.4, 0.9, 0.2])
    assert np.isnan(got["adv_corr"].value)
    assert got["adv_corr_siblings"].note == "no sibling has a parent with a truth"
    assert got["gae_mse"].value == got["mse"].value


def test_a_single_draw_leaves_what_needs_no_noise():
    truth = truth_of([0, 0, 1, 1], [[1], [0], [1], [1]], next_weight=[1, 2, 3, 4])
    got = scores(truth, [0.5, 0.4, 0.5, 1.0])
    for name in ("adv_corr", "adv_r2", "gae_mse", "explained_variance_ceiling", "grad_ev_ceiling"):
        assert "a single graded continuation" in got[name].note, name
    errors = np.array([0.5, -0.4, 0.5, 0.0])
    assert got["explained_variance"].value == pytest.approx(1 - errors.var() / np.var([1, 0, 1, 1]))
    assert got["grad_ev"].value == pytest.approx(1 - np.dot([1, 2, 3, 4], errors**2) / (10 / 4))
    assert got["adv_slope"].value == pytest.approx((-0.3 * -0.5 + 0.3 * 0.5) / (2 * 0.3**2))  # d -.1, .5; D -1, 0


def test_without_weights_the_gradient_metrics_say_why():
    got = scores(THREE, [0.2, 0.4, 0.5, 0.3])
    for name in ("grad_ev", "grad_ev_ceiling"):
        assert got[name].note.startswith("the suite has no next_weight for 4 path states"), name


def test_the_slice_by_tokens_weighs_each_state_and_says_why_it_is_missing():
    truth = replace(THREE, next_tokens=np.array([1.0, 2, 3, 4]))
    values = np.array([0.2, 0.4, 0.5, 0.3])
    resamples = resample(2, replicates=1)
    by_tokens = next(part for part in slices(truth, values, resamples) if part.by == "weight")
    assert by_tokens.metrics["bias"].value == pytest.approx((-0.05 - 0.35 * 2 + 0 + 0.05 * 4) / 10)
    unknown = next(part for part in slices(THREE, values, resamples) if part.by == "weight")
    assert np.isnan(unknown.metrics["bias"].value)
    assert unknown.metrics["bias"].note.startswith("the suite has no next_tokens")


def test_skill_32_does_not_depend_on_the_size_of_the_group():
    sim = simulate(3, problems=500, rollouts=1, k=64)
    values, level = 0.7 * sim.value + 0.1, sim.truth.group_mean  # any success rates do
    rng, found = np.random.default_rng(0), {}
    for size in (4, 32):
        metrics = []
        for _ in range(12):
            mean = rng.binomial(size, level) / size
            noise = mean * (1 - mean) / (size - 1)
            truth = replace(sim.truth, group_mean=mean, group_noise=noise, group_n=np.full(500, size))
            got = points(truth, values)
            metrics.append([got["skill"], got["skill_32"]])
        found[size] = np.array(metrics)
    assert (found[32][:, 0] == found[32][:, 1]).all()
    four, many = found[4], found[32][:, 1]
    error = np.hypot(four[:, 1].std(), many.std()) / np.sqrt(12)
    assert four[:, 1].mean() == pytest.approx(many.mean(), abs=4 * error)
    assert four[:, 0].mean() > many.mean() + 4 * error, "what the correction removes"


@pytest.mark.parametrize("k", [2, 4, 16])
def test_the_corrections_remove_the_truths_noise(k):
    """Mean over many draws of the truth for the same states: the corrected figures are those with V itself."""
    rng = np.random.default_rng(k)
    sim = simulate(0, problems=30, rollouts=1, k=k)
    values = sim.value + rng.normal(0.02, 0.1, len(sim.value))
    exact = points(known_exactly(sim), values)
    found = [points(redrawn(sim, k, rng).truth, values) for _ in range(60)]
    for name in ("gae_mse", "adv_slope", "adv_slope_siblings"):
        drawn = np.array([f[name] for f in found])
        assert drawn.mean() == pytest.approx(exact[name], abs=4 * drawn.std() / np.sqrt(60)), name
