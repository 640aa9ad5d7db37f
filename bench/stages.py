"""Do estimators keep their order over training? The embedded policy and an earlier checkpoint of it, scored alike.

The earlier checkpoint's suite is generated first, in about ten minutes on two cores, smaller than the embedded one: the
same task, groups and training problems, fewer test problems and continuations. What bench/out/stages holds already is
read from there: delete it to measure anew.
"""

from __future__ import annotations

from pathlib import Path

from bench.report import report
from sveb.evaluation import evaluate
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import counts_for
from sveb.generate.reporter import SilentReporter
from sveb.runs.results import Estimate, Results
from sveb.suite.suite import Suite

OUT = Path("bench/out/stages")
COUNTS: dict[str, int | None] = {"test_problems": 60, "train_problems": 200, "continuations": 32, "draws": 0}
ESTIMATORS = ("group_mean", "numca", "hista", "kernel", "probe", "probe_group", "stacked")
METRICS = ("skill", "r2_within", "order_steps", "order_siblings", "worth")


def early() -> Suite:
    """The earlier checkpoint's suite."""
    settings = Settings(model="nano-early", out=OUT / "nano-early", counts=counts_for("standard", COUNTS))
    return Suite.open(generate(settings, SilentReporter()))


def results(suite: Suite, name: str) -> Results:
    """One estimator's scores on a suite."""
    kept = OUT / "runs" / suite.name / name / "results.json"
    return Results.read(kept) if kept.exists() else evaluate(suite, name, {}, OUT / "runs").results


def shown(found: Estimate) -> str:
    """Value and interval."""
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def main() -> None:
    """Runs the bench."""
    figures: dict[str, dict[str, object]] = {}
    for suite in (early(), Suite.open("ledger-nano")):
        about = suite.manifest.statistics
        told = ("success_rate", "value_variance", "within_problem_share", "noise_floor", "states")
        figures[suite.name] = {key: about[key] for key in told}
        for name in ESTIMATORS:
            scores = {metric: shown(results(suite, name).metrics[metric]) for metric in METRICS}
            figures[suite.name][name] = scores
            print(f"| {suite.name} | {name} | {' | '.join(scores.values())} |", flush=True)
    report("stages", figures)


if __name__ == "__main__":
    main()
