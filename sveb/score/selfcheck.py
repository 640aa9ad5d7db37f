"""Tests the scorer on a policy whose true values are known. Gives claims, each with the measured figures.

Every claim is checked through `evaluate`, `slices`, `alarms` and `rank_values`, the functions that compute every
published figure, and once from files through `score`. Everything is seeded: the same build gives the same figures.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sveb.common.files import dump_json
from sveb.runs.results import Estimate
from sveb.score.alarms import alarms
from sveb.score.arrays import FloatArray
from sveb.score.bootstrap import LEVEL, Resamples, resample
from sveb.score.perfect import perfect_scores
from sveb.score.rank_intervals import rank_values
from sveb.score.score import evaluate, score
from sveb.score.seed_spread import estimate_over_seeds
from sveb.score.slices import slices
from sveb.score.synthetic import DECISIVE, Simulated, redrawn, simulate
from sveb.score.synthetic_suite import write_predictions, write_suite

DRAWS = (2, 4, 16, 64, 256)
LEAKS = (1.0, 0.25, 0.1)
STACKED = 0.05
ERRORS = (0.01, STACKED, 0.09)  # mse of a very good estimator, of `stacked` and of `hista` on the embedded suite
POOLS = (16, 64)  # continuations of a state in the audit pool
COVERED = {"metric": (0.93, 0.98), "slice": (0.92, 0.98)}  # slices have fewer problems
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Claim:
    """What is claimed, the measured figure, and whether the claim holds."""

    claim: str
    figure: str
    holds: bool


def selfcheck(progress: Progress, *, full: bool = False) -> Iterator[Claim]:
    """All claims. `full` uses 1000 replications; the default uses fewer, enough to find large errors."""
    replications = 1000 if full else 100
    for k in DRAWS:
        yield _unbiased(k, replications, progress)
    yield from _coverage(1000 if full else 60, progress, every=full)
    yield from _perfect(progress)
    yield from _worth(range(1, 17) if full else (1, 2, 4, 8, 16), progress)
    yield from _leaks(300 if full else 30, progress)
    yield from _audited(300 if full else 30, progress)
    yield _known_perfectly(30 if full else 4, progress)
    yield from _ties(1000 if full else 60, progress)
    yield from _seeds(1000 if full else 60, progress)
    yield _ranks(1000 if full else 100, progress)
    yield _files(progress)


def noisy(simulated: Simulated, rng: np.random.Generator, scale: float = 0.1) -> FloatArray:
    """An estimator that is shrunk towards the middle, with one error per problem and one error per state."""
    truth, value = simulated.truth, simulated.value
    shared = rng.normal(0, scale, len(truth.problem_ids))[truth.problem]
    return np.asarray(0.6 * value + 0.2 + shared + rng.normal(0, scale, len(value)), dtype=np.float64)


def _evaluate(simulated: Simulated, values: FloatArray, resamples: Resamples) -> dict[str, Estimate]:
    return evaluate(simulated.truth, values, np.ones(len(values), dtype=bool), resamples)


def _unbiased(k: int, replications: int, progress: Progress) -> Claim:
    """New returns for the same states: compares the mean corrected mse with the mean squared error against V."""
    rng = np.random.default_rng(k)
    simulated = simulate(k, problems=40, k=k)
    values = noisy(simulated, rng)
    path = simulated.truth.kind == "path"
    known = float(((values - simulated.value)[path] ** 2).mean())
    resamples = resample(40, replicates=1)
    found, floors = [], []
    for i in range(replications):
        progress(f"mse at K = {k}", i, replications)
        metrics = _evaluate(redrawn(simulated, k, rng), values, resamples)
        found.append(metrics["mse"].value)
        floors.append(metrics["noise_floor"].value)
    error = float(np.std(found, ddof=1)) / replications**0.5
    bias = float(np.mean(found)) - known
    return Claim(
        f"mse is unbiased at K = {k}",
        f"bias {bias:+.6f} ± {error:.6f}; true mse {known:.4f}, noise {np.mean(floors):.4f}",
        abs(bias) < 4 * error and 4 * error < np.mean(floors),
    )


def _coverage(replications: int, progress: Progress, *, every: bool) -> Iterator[Claim]:
    """New problems in each replication: how often an interval contains the figure of 20000 problems."""
    problems, k = 130, 64  # at K = 16 the steps of this policy change V by less than the noise
    large = simulate(10**6, problems=20_000, k=k)
    once = resample(20_000, replicates=1)
    values = noisy(large, np.random.default_rng(0))
    target = _estimates(large, values, once)
    resamples = resample(problems)
    covered: dict[tuple[str, str], list[bool]] = {name: [] for name in target}
    for i in range(replications):
        progress("coverage of intervals", i, replications)
        simulated = simulate(i, problems=problems, k=k)
        found = _estimates(simulated, noisy(simulated, np.random.default_rng(i)), resamples)
        for name in target.keys() & found.keys():
            estimate = found[name]
            if not np.isnan(estimate.value):  # an end that does not exist is open
                too_low, too_high = target[name].value < estimate.low, target[name].value > estimate.high
                covered[name].append(not (too_low or too_high))
    # The measured rates have errors of their own; at 1000 replications one standard error is .007.
    slack = (2 if every else 3) * (LEVEL * (1 - LEVEL) / replications) ** 0.5
    for source, (least, most) in COVERED.items():
        low, high = least - slack, most + slack
        # a part that is rarely large enough to be scored has no rate
        often = {
            name: hits for (kind, name), hits in covered.items() if kind == source and 2 * len(hits) > replications
        }
        rates = {name: float(np.mean(hits)) for name, hits in often.items()}
        if every:
            yield from (Claim(f"95 % intervals of {n} cover", f"{r:.1%}", low <= r <= high) for n, r in rates.items())
            continue
        worst = max(rates, key=lambda name: abs(rates[name] - LEVEL))
        yield Claim(
            f"95 % intervals of {len(rates)} {source}s cover",
            f"mean {np.mean(list(rates.values())):.1%}, furthest off {worst} {rates[worst]:.0%} of {replications}",
            all(low <= rate <= high for rate in rates.values()),
        )


def _estimates(simulated: Simulated, values: FloatArray, resamples: Resamples) -> dict[tuple[str, str], Estimate]:
    """Metrics, and slices: only parts that exist in every sample of problems and are not marked as small."""
    metrics = _evaluate(simulated, values, resamples)
    found = {("metric", name): e for name, e in metrics.items() if name != "coverage"}
    for part in slices(simulated.truth, values, resamples):
        if part.by in ("position", "difficulty", "kind", "tier") and not part.small:
            found |= {("slice", f"{name}, {part.by}: {part.label}"): e for name, e in part.metrics.items()}
    return found


def _perfect(progress: Progress) -> Iterator[Claim]:
    progress("a perfect estimator", 0, 1)
    simulated = simulate(1, problems=300, k=1024, success=DECISIVE)
    found = _evaluate(simulated, simulated.value, resample(300))
    for name, best in (
        ("mse", 0.0), ("skill", 1.0), ("r2", 1.0), ("r2_within", 1.0), ("collapse", 1.0), ("adv_corr", 1.0),
        ("adv_r2", 1.0), ("adv_slope", 1.0), ("gae_mse", 0.0),
    ):  # fmt: skip
        e = found[name]
        text = f"{e.value:.6f} [{e.low:.6f}, {e.high:.6f}]"
        yield Claim(f"a perfect estimator has {name} = {best:.0f} in its interval", text, e.low <= best <= e.high)
    orders = [found[f"order_{kind}"].value for kind in ("steps", "siblings", "within")]
    text = ", ".join(f"{order:.3f}" for order in orders)
    yield Claim("a perfect estimator orders steps, siblings, pairs: 1 to two digits", text, min(orders) > 0.99)


def _worth(rollouts: Iterable[int], progress: Progress) -> Iterator[Claim]:
    simulated = simulate(2, problems=1000, rollouts=4, k=64)
    resamples = resample(1000, replicates=400)
    rng = np.random.default_rng(2)
    for k in rollouts:
        progress("worth of rollouts", k - 1, 16)
        e = _evaluate(simulated, rng.binomial(k, simulated.value) / k, resamples)["worth"]
        error = (e.high - e.low) / 2 / 1.96
        text = f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"
        yield Claim(f"the mean of {k} rollouts is worth {k}", text, abs(e.value - k) < 3.5 * error < 0.25 * k)


def _leaks(replications: int, progress: Progress) -> Iterator[Claim]:
    """Power of the alarms: an estimator mixes in the mean of the truth's returns, or of their first half."""
    raised: dict[tuple[str, float, float], list[bool]] = {}
    for i in range(replications):
        progress("leak alarms", i, replications)
        simulated = simulate(i, problems=130, rollouts=4, k=64)
        returns = simulated.truth.returns
        for mse in (0.0, *ERRORS):
            honest = simulated.value + np.random.default_rng(i).normal(0, mse**0.5, len(simulated.value))
            for kind, leaked in (("honest", honest), ("whole means", returns.mean), ("first halves", returns.first)):
                for weight in LEAKS if kind != "honest" and mse else (0.0,):
                    values = (1 - weight) * honest + weight * leaked
                    raised.setdefault((kind, mse, weight), []).append(bool(alarms(simulated.truth, values)))
    rates = {key: float(np.mean(hits)) for key, hits in raised.items()}
    for mse in (0.0, *ERRORS):
        rate = rates["honest", mse, 0.0]
        yield Claim(
            f"an honest estimator of mse {mse:g} raises no alarm",
            f"{rate:.1%} do",
            rate <= 0.01 + 3 * (0.01 / replications) ** 0.5,
        )
    for mse, kind in itertools.product(ERRORS, ("whole means", "first halves")):
        power = [rates[kind, mse, weight] for weight in LEAKS]
        text = ", ".join(f"{rate:.0%} at weight {weight:.0%}" for rate, weight in zip(power, LEAKS, strict=True))
        # the larger the estimator's own errors, the better they hide a leak
        seen = min(power[: 2 if mse == ERRORS[0] else 1]) >= 0.95
        yield Claim(f"a leak of {kind} into an estimator of mse {mse:g} is seen", text, seen)


def _audited(replications: int, progress: Progress) -> Iterator[Claim]:
    """A quarter of the truth's means in an estimator like `stacked`, with and without bought draws, and audit pools."""
    raised: dict[tuple[str, int], list[bool]] = {}
    for i, pool in itertools.product(range(replications), POOLS):
        progress(f"audit pool of {pool}", i, replications)
        simulated = simulate(i, problems=130, rollouts=4, k=64, audit=pool)
        truth, rng = simulated.truth, np.random.default_rng(i)
        shared = rng.normal(0, (STACKED / 2) ** 0.5, len(truth.problem_ids))[truth.problem]
        honest = simulated.value + shared + rng.normal(0, (STACKED / 2) ** 0.5, len(simulated.value))
        for kind, leaked, bought in (("honest", 0.0, 0.5), ("leak", 0.25, 0.0), ("masked leak", 0.25, 0.25)):
            values = (1 - leaked - bought) * honest + leaked * truth.mean + bought * truth.pool_mean
            raised.setdefault((kind, pool), []).append(bool(alarms(truth, values)))
    rates = {key: float(np.mean(hits)) for key, hits in raised.items()}
    most = 0.01 + 3 * (0.01 / replications) ** 0.5
    for pool in POOLS:
        yield Claim(
            f"half of bought draws in an estimator of mse {STACKED:g} raise no alarm with an audit pool of {pool}",
            f"{rates['honest', pool]:.1%} do", rates["honest", pool] <= most,
        )  # fmt: skip
        plain, masked = rates["leak", pool], rates["masked leak", pool]
        yield Claim(
            f"an audit pool of {pool} shows 25 % of the truth in an estimator of mse {STACKED:g}, masked or not",
            f"{plain:.0%}; with 25 % of bought draws {masked:.0%}",
            min(plain, masked) >= (0.9 if pool == max(POOLS) else 0.3) - 3 * (0.09 / replications) ** 0.5,
        )


def _known_perfectly(replications: int, progress: Progress) -> Claim:
    """What `perfect_scores` expects of V, against what V scores: the largest mean difference."""
    differences: dict[str, list[float]] = {}
    for i in range(replications):
        progress("scores of V", i, replications)
        simulated = simulate(i, problems=110, rollouts=4, k=64)
        expected = perfect_scores(simulated.truth)
        found = _evaluate(simulated, simulated.value, resample(110, replicates=1))
        for name in ("order_steps", "order_siblings", "order_soft", "spearman", "spearman_within", "top1_siblings"):
            differences.setdefault(name, []).append(expected[name] - found[name].value)
    means = {name: float(np.mean(each)) for name, each in differences.items()}
    text = ", ".join(f"{name} {mean:+.3f}" for name, mean in means.items())
    return Claim("the scores that V is expected to have are those it has", text, max(map(abs, means.values())) < 0.07)


def _ties(replications: int, progress: Progress) -> Iterator[Claim]:
    """Of mostly tied values few problems decide the order of siblings: how often its interval covers."""

    def mostly_tied(simulated: Simulated, seed: int) -> FloatArray:
        rng, truth = np.random.default_rng(seed), simulated.truth
        moved = rng.random(len(truth.n)) < 0.05
        change = simulated.value + rng.normal(0, 0.1, len(moved)) - 0.3
        return np.asarray(truth.group_mean[truth.problem] + np.where(moved, change, 0.0))

    large = simulate(10**6, problems=20_000)
    target = _evaluate(large, mostly_tied(large, 0), resample(20_000, replicates=1))["order_siblings"].value
    for problems in (20, 60):
        resamples, covered = resample(problems), []
        for i in range(replications):
            progress(f"coverage with ties, {problems} problems", i, replications)
            simulated = simulate(i, problems=problems)
            found = _evaluate(simulated, mostly_tied(simulated, i), resamples)["order_siblings"]
            if np.isfinite(found.low):
                covered.append(found.low <= target <= found.high)
        rate = float(np.mean(covered))
        yield Claim(
            f"95 % intervals of order_siblings of mostly tied values cover at {problems} problems",
            f"{rate:.1%} of {len(covered)}", rate >= 0.9 - 3 * (0.9 * 0.1 / replications) ** 0.5,
        )  # fmt: skip


def _seeds(replications: int, progress: Progress) -> Iterator[Claim]:
    """The mean of a score over seeds: effects of problems that all seeds share, of problems with a seed, of seeds."""
    problems = 60
    resamples = resample(problems)
    drawn = resamples.counts.astype(np.float64)
    for seeds in (3, 5):
        rates = {}
        for spread in (0.0, 0.5, 1.0, 4.0):  # a seed's standard deviation, in standard errors over problems
            rng, covered = np.random.default_rng(seeds), 0
            for i in range(replications):
                progress(f"coverage over {seeds} seeds, spread {spread:g}", i, replications)
                scores = rng.normal(0, 1, problems) + rng.normal(0, 0.5, (seeds, problems))
                scores += rng.normal(0, spread / problems**0.5, (seeds, 1))
                found = estimate_over_seeds(scores @ drawn.T / drawn.sum(axis=1), resamples, "never")
                covered += found.low <= 0 <= found.high
            rates[spread] = covered / replications
        yield Claim(
            f"95 % intervals over problems and {seeds} seeds cover",
            ", ".join(f"{rate:.1%} at spread {spread:g}" for spread, rate in rates.items()),
            min(rates.values()) >= 0.94 - 3 * (LEVEL * (1 - LEVEL) / replications) ** 0.5,
        )  # fmt: skip


def _ranks(replications: int, progress: Progress) -> Claim:
    """Entries, some of them equally good: how often all rank intervals contain the true ranks at the same time."""
    known = np.repeat([0.01, 0.02, 0.021, 0.03, 0.05], 5)
    best, worst = (1 + (known[None] < known[:, None]).sum(axis=1), (known[None] <= known[:, None]).sum(axis=1))
    problems = 60
    resamples = resample(problems)
    held = pairs = 0
    for i in range(replications):
        progress("coverage of ranks", i, replications)
        simulated = simulate(i, problems=problems, k=16)
        rng, truth = np.random.default_rng(i), simulated.truth
        values = {}
        for number, mse in enumerate(known):
            shared = rng.laplace(0, (mse / 4) ** 0.5, problems)[truth.problem]
            values[str(number)] = simulated.value + shared + rng.normal(0, (mse / 2) ** 0.5, len(simulated.value))
        ranking = rank_values(truth, values, resamples)
        entry = [int(name) for name in ranking.names]
        gap = known[entry][:, None] - known[entry]
        pairs += bool(((ranking.low <= gap) & (gap <= ranking.high)).all())
        held += bool(((ranking.rank_low <= best[entry]) & (worst[entry] <= ranking.rank_high)).all())
    slack = 3 * (LEVEL * (1 - LEVEL) / replications) ** 0.5
    return Claim(
        f"all ranks of {len(known)} entries, some equal, lie in their intervals at once, with {problems} problems",
        f"{held / replications:.1%}; all paired differences {pairs / replications:.1%}",
        held / replications >= LEVEL - slack and pairs / replications >= 0.94 - slack,
    )


def _files(progress: Progress) -> Claim:
    """Scores the same states from files and in memory, twice: the results must be byte-identical."""
    progress("through files", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        made = simulate(3, problems=30, k=16)
        suite, simulated = write_suite(Path(folder) / "suite", made, k=16, group=32, seed=3)
        values = noisy(simulated, np.random.default_rng(3))
        path = write_predictions(Path(folder) / "p.parquet", suite, simulated.truth.state_ids, values)
        first, second = score(suite, path), score(suite, path)
        texts = [dump_json(results.to_dict()) for results in (first, second)]
        same = _evaluate(simulated, values, resample(30)) == first.metrics
    return Claim(
        "scoring files twice gives the same bytes, and the figures that arrays give",
        f"{len(texts[0])} bytes, {'the same' if texts[0] == texts[1] else 'differ'}; figures "
        f"{'the same' if same else 'differ'}",
        texts[0] == texts[1] and same,
    )
