"""Do critics collapse? Nine of them, three targets by three losses, trained and scored on the embedded suite.

All train alike: from the policy, EPOCHS passes, the default learning rate; the epoch with the least squared error on
held-out training problems is kept. A cell that bench/out/critic/ holds is read from there: delete it to train anew.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

from bench.report import report
from sveb.evaluation import evaluate, run_name
from sveb.runs.results import Estimate
from sveb.runs.run_folder import RunFolder, read_run
from sveb.suite.suite import Suite

TARGETS = {"mc": {}, "td0": {}, "gae": {"lam": "0.95"}}
LOSSES = ("mse", "bce", "hlgauss")
EPOCHS = "2"
METRICS = ("r2_within", "collapse", "skill", "spearman_within")
RUNS = Path("bench/out/critic")


def trained(suite: Suite, target: str, loss: str) -> RunFolder:
    """One cell's run."""
    params = {"target": target, **TARGETS[target], "loss": loss, "epochs": EPOCHS}
    folder = RUNS / suite.name / run_name("critic", params)
    if (folder / "results.json").exists():
        return read_run(folder)
    return evaluate(suite, "critic", params, RUNS)


def shown(found: Estimate) -> str:
    """Value and interval."""
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def main() -> None:
    """Runs the bench."""
    suite = Suite.open("ledger-nano")
    figures: dict[str, dict[str, str | list[float]]] = {}
    for target, loss in product(TARGETS, LOSSES):
        run = trained(suite, target, loss)
        history = json.loads((run.folder / "scratch" / "critic.json").read_text())
        scores = {name: shown(run.results.metrics[name]) for name in METRICS}
        figures[f"{target} {loss}"] = scores | {"held_out_mse": [round(error, 4) for error in history["held_out"]]}
        print(f"| {target} | {loss} | {' | '.join(scores.values())} |", flush=True)
    report("critic", figures)


if __name__ == "__main__":
    main()
