"""Speed and memory of `score`, from files: growth with the suite, and the ratio to a plain scipy.stats.bootstrap.

python -m bench.score                all sizes; each is scored in a process of its own
python -m bench.score FOLDER         one suite: what the processes run
"""

from __future__ import annotations

import itertools
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap, spearmanr

from bench.report import report
from sveb.score.arrays import FloatArray, IntArray
from sveb.score.bootstrap import REPLICATES, resample
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.problem_sums import problem_statistics
from sveb.score.returns import Returns
from sveb.score.score import evaluate, score
from sveb.score.selfcheck import noisy
from sveb.score.synthetic import Simulated, simulate
from sveb.score.synthetic_suite import write_predictions, write_suite
from sveb.score.truth import Truth
from sveb.suite.suite import Suite

PROBLEMS = (1_000, 10_000, 100_000)
DRAWS = 64
PLAIN_PROBLEMS = 100


def ten_states(problems: int, seed: int) -> Simulated:
    """Ten states a problem: seven along a rollout, and three siblings after its first step."""
    made = simulate(seed, problems=problems, rollouts=1, k=DRAWS)
    truth = made.truth
    kept = np.flatnonzero((truth.kind == "path") | (truth.step_index == 2))
    return Simulated(chosen(truth, kept, truth.problem[kept], problems), made.value[kept])


def chosen(truth: Truth, rows: IntArray, problem: IntArray, problems: int) -> Truth:
    """Some states, told to belong to these problems."""
    columns = ("kind", "rollout", "step_index", "position", "n_tokens", "next_tokens", "next_weight", "pool_mean",
               "pool_n")  # fmt: skip
    place = np.full(len(truth.n) + 1, -1)
    place[rows] = np.arange(len(rows))
    return replace(
        truth,
        state_ids=[truth.state_ids[i] for i in rows],
        problem_ids=[f"p{i:06d}" for i in range(problems)],
        problem=problem,
        parent=place[truth.parent[rows]],
        returns=Returns(**{f.name: getattr(truth.returns, f.name)[rows] for f in fields(Returns)}),
        **{name: getattr(truth, name)[rows] for name in columns},
    )


def scored(folder: Path) -> None:
    """Scores the suite in `folder` and prints seconds and the process' highest memory."""
    began, busy = time.perf_counter(), time.process_time()
    results = score(Suite.open(folder), folder / "predictions.parquet")
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"wall_s": round(seconds, 2), "cpu_s": round(busy, 2), "peak_rss_gb": round(peak / 1e9, 2)}
    print(json.dumps({"states": sum(results.counts[f"{kind}_states"] for kind in ("path", "sibling")), **figures}))


def measured(problems: int) -> dict[str, float]:
    """Writes a suite and scores it in a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite, simulated = write_suite(folder, ten_states(problems, seed=1), k=DRAWS, group=8, seed=1)
        values = noisy(simulated, np.random.default_rng(1))
        write_predictions(folder / "predictions.parquet", suite, simulated.truth.state_ids, values)
        del simulated, suite
        command = [sys.executable, "-m", "bench.score", name]
        found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def plain(simulated: Simulated, values: FloatArray) -> tuple[float, FloatArray]:
    """Seconds of scipy.stats.bootstrap over problems, all metrics computed anew on every resample; their points."""
    truth = simulated.truth
    given = np.ones(len(values), dtype=bool)
    members = [np.flatnonzero(truth.problem == p) for p in range(PLAIN_PROBLEMS)]

    def metrics(problems: IntArray) -> list[float]:
        rows = np.concatenate([members[p] for p in problems])
        sizes = [len(members[p]) for p in problems]
        drawn = np.repeat(np.arange(PLAIN_PROBLEMS), sizes)
        again = chosen(truth, rows, drawn, PLAIN_PROBLEMS)
        starts, inside = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes), np.arange(len(values))
        for member in members:
            inside[member] = np.arange(len(member))
        parent = np.where(truth.parent[rows] >= 0, starts + inside[truth.parent[rows]], -1)
        groups = {name: getattr(truth, name)[problems] for name in ("group_mean", "group_n", "group_noise")}
        apart = replace(again, rollout=drawn, parent=parent, **groups)
        sums = {k: w.sum(keepdims=True) for k, w in problem_statistics(apart, values[rows], given[rows]).items()}
        path = apart.rows("path")
        for name, x, y in (
            ("pooled_rho", values[rows], apart.mean), ("halves_rho", apart.returns.first, apart.returns.second),
        ):  # fmt: skip
            sums[name] = np.array([spearmanr(x[path], y[path]).statistic])
        return [float(metric.formula(sums)[0]) for metric in CATALOGUE.values()]

    def statistic(drawn: IntArray, axis: int) -> FloatArray:
        table = np.atleast_2d(np.moveaxis(drawn, axis, -1)).astype(np.int64)
        found = np.array([metrics(row) for row in table]).T
        return found if drawn.ndim > 1 else found[:, 0]

    began = time.perf_counter()
    bootstrap(
        (np.arange(PLAIN_PROBLEMS),), statistic, n_resamples=REPLICATES, method="percentile", vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return time.perf_counter() - began, np.array(metrics(np.arange(PLAIN_PROBLEMS)))


def main() -> None:
    """Runs the bench."""
    sizes = [measured(problems) for problems in PROBLEMS]
    growth = [
        math.log(b["wall_s"] / a["wall_s"]) / math.log(b["states"] / a["states"]) for a, b in itertools.pairwise(sizes)
    ]
    simulated = ten_states(PLAIN_PROBLEMS, seed=2)
    values = noisy(simulated, np.random.default_rng(2))
    given = np.ones(len(values), dtype=bool)
    theirs, points = plain(simulated, values)
    began = time.perf_counter()
    ours = evaluate(simulated.truth, values, given, resample(PLAIN_PROBLEMS))
    seconds = time.perf_counter() - began
    np.testing.assert_allclose(points, [e.value for e in ours.values()], atol=1e-9)
    report(
        "score",
        {
            "draws": DRAWS,
            "replicates": REPLICATES,
            "sizes": sizes,
            "growth_exponents": [round(exponent, 2) for exponent in growth],
            "plain_states": len(values),
            "scipy_bootstrap_s": round(theirs, 2),
            "evaluate_s": round(seconds, 3),
            "ratio": round(theirs / seconds),
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        scored(Path(sys.argv[1]))
    else:
        main()
