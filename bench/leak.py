"""How much of Numca's and Hista's advantage under the published protocol is their own outcome?

One suite under protocol paper, scored twice: as it is, and with the scored rollouts taken out of the pool. States and
truth are the same, so that the differences are paired. One state a problem: intervals over states are over problems.

    python -m bench.leak                                          # the embedded policy
    python -m bench.leak --model smollm2-135m-q4 --task instruct --problems 60
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.report import report
from sveb.common.files import sha256
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import counts_for
from sveb.generate.reporter import SilentReporter
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.score.truth import Truth, read_truth
from sveb.suite.protocol import PAPER
from sveb.suite.suite import Suite
from sveb.suite.tables import write_table

TRAIN, BOOTSTRAP = 20, 10_000
ESTIMATORS: dict[str, tuple[str, dict[str, str]]] = {
    "group_mean": ("group_mean", {}),
    "numca(official)": ("numca", {"variant": "official"}),
    "numca": ("numca", {}),
    "hista(official)": ("hista", {"variant": "official"}),
    "hista": ("hista", {}),
}
Values = np.ndarray[tuple[int], np.dtype[np.float64]]


def without_scored(suite: Suite, out: Path) -> Suite:
    """A copy in which the rollouts that states were cut from are no context: seen by nobody."""
    shutil.copytree(suite.path, out)
    table = suite.table("rollouts")
    scored = pc.is_in(table["rollout_id"], value_set=suite.table("states")["rollout_id"].combine_chunks())
    role = pc.if_else(scored, pa.scalar("probe"), table["role"])
    write_table(out / "rollouts.parquet", table.set_column(table.schema.get_field_index("role"), "role", role))
    named = suite.manifest.files["rollouts.parquet"] | {"sha256": sha256(out / "rollouts.parquet")}
    manifest = replace(suite.manifest, name="without", files=suite.manifest.files | {"rollouts.parquet": named})
    manifest.write(out)
    return Suite.open(out)


def predictions(suite: Suite, truth: Truth, spec: str, params: dict[str, str], out: Path) -> Values:
    """An estimator's values in the truth's order."""
    found = Predictions.read(run(suite, spec, dict(params), out))
    by_id = dict(zip(found.state_ids, found.values.tolist(), strict=True))
    return np.array([by_id[name] for name in truth.state_ids])


def interval(samples: Values) -> list[float]:
    """The middle 95 %."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure what the published protocol's leak is worth.")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--task", help="default: the model's own")
    parser.add_argument("--problems", type=int, default=110)
    parser.add_argument("--out", type=Path, help="folder of the suite; an unfinished one is continued")
    options = parser.parse_args()
    folder = options.out or Path(tempfile.mkdtemp()) / "paper"
    counts = counts_for("standard", {"test_problems": options.problems, "train_problems": TRAIN}, PAPER)
    settings = Settings(model=options.model, task=options.task, out=folder, counts=counts, protocol=PAPER)
    generate(settings, SilentReporter())
    scratch = Path(tempfile.mkdtemp())
    seen = Suite.open(folder)
    suites = {"seen": seen, "hidden": without_scored(seen, scratch / "without")}
    truth = read_truth(seen)
    g, noise = truth.mean, truth.noise
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(g), np.full(len(g), 1 / len(g)), size=BOOTSTRAP) / len(g)
    even = np.full((1, len(g)), 1 / len(g))

    values = {
        (name, pool): predictions(suite, truth, *spec, scratch / pool / name)
        for name, spec in ESTIMATORS.items()
        for pool, suite in suites.items()
    }

    def mse(name: str, pool: str, w: Values) -> Values:
        return np.asarray(w @ ((values[name, pool] - g) ** 2 - noise))

    def mae(name: str, pool: str, w: Values) -> Values:
        return np.asarray(w @ np.abs(values[name, pool] - g))

    def advantage(name: str, pool: str, w: Values) -> Values:
        """How much less the mean squared error is than the group mean's in the same pool."""
        return mse("group_mean", pool, w) - mse(name, pool, w)

    figures: dict[str, object] = {"model": options.model, "problems": len(g)}
    figures["noise_floor"] = round(float(noise.mean()), 4)
    for name in ESTIMATORS:
        row: dict[str, object] = {}
        for pool in suites:
            row[f"mae_{pool}"] = [round(float(mae(name, pool, even)[0]), 4), *interval(mae(name, pool, weights))]
            row[f"mse_{pool}"] = [round(float(mse(name, pool, even)[0]), 4), *interval(mse(name, pool, weights))]
            if name != "group_mean":
                ratio = [advantage(name, pool, w) / mse("group_mean", pool, w) for w in (even, weights)]
                row[f"skill_{pool}"] = [round(float(ratio[0][0]), 4), *interval(ratio[1])]
        for figure, function in (("mae", mae), ("mse", mse), ("advantage", advantage)):
            if not (figure == "advantage" and name == "group_mean"):
                point, samples = (function(name, "hidden", w) - function(name, "seen", w) for w in (even, weights))
                row[f"{figure}_hidden_minus_seen"] = [round(float(point[0]), 4), *interval(samples)]
        figures[name] = row
    report("leak", figures)


if __name__ == "__main__":
    main()
