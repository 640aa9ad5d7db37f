"""Made-up reports of the two benches behind the page about scores and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.gradient_figures import LAMBDAS, NOISE, PERMUTED, SCORES, SHRINK
from bench.gradients import ESTIMATORS
from bench.training import ARMS, figures
from sveb.common.files import dump_json, write_text

Interval = list[float | None]
EFFICIENCY: Interval = [0.1, -0.2, 0.4]


def write_gradients(folder: Path, policy: str, q: Interval, s: Interval, problems: int = 400, **other: Any) -> None:
    """A report with all estimators: tau is `q` with q and `s` with s, for every score; `other` replaces parts."""
    doses = [f"truth, noise of {what} {size:g}" for what in ("states", "problems") for size in NOISE]
    names = ["zero", *ESTIMATORS, "truth", PERMUTED, *doses, *(f"truth, shrunk to {left:g}" for left in SHRINK)]
    kinds = [f"{kind} {lam:g}" for lam in LAMBDAS for kind in ("q", "s", "efficiency", "relative")]
    tau = {"q 1": q} | {
        f"{kind} {lam:g}": s if kind == "s" else EFFICIENCY for kind in ("s", "efficiency") for lam in LAMBDAS
    }
    made = {
        "problems": problems,
        "probes": 12 * problems,
        "signal in |G|²": 0.9,
        "not run": [],
        "estimators": {
            name: {kind: [x := 1 / (2 + i), x - 0.05, x + 0.05] for kind in [*SCORES, *kinds]}
            for i, name in enumerate(names)
        },
        "tau": dict.fromkeys(SCORES, tau),
    }
    write_text(folder / f"gradients-{policy}.json", dump_json({"figures": made | other}))


def record(arm: str, seed: int, success: list[float], of_estimator: int = 0) -> dict[str, Any]:
    """A training run as `bench.training` keeps it, with 15 updates between two evaluations."""
    rows = [
        {"return": 0.4, "tokens": 38000 * i, "tokens_of_estimator": of_estimator * i}
        for i in range(1, 15 * (len(success) - 1) + 1)
    ]
    curve = {str(15 * i): each for i, each in enumerate(success)}
    settings = {"seed": seed, "lr": 3e-4}
    return {"arm": arm, "settings": settings, "updates": rows, "success": curve, "cpu_s": 780.0}


def write_training(folder: Path, gain: float, arms: list[str] | None = None, seeds: int = 5) -> None:
    """A report of these arms: each seed is .002 above the one before, and `stacked-half` gains on all others."""
    records = []
    for i, arm in enumerate(ARMS if arms is None else arms):
        for seed in range(seeds):
            more = 0.002 * seed + 0.006 * i
            rise = [0.245, 0.44 + more, 0.52 + more, 0.56 + more, 0.58 + more]
            better = [0.245, *(each + gain for each in rise[1:])] if arm == "stacked-half" else rise
            records.append(record(arm, seed, better, 760000 if arm == "mc" else 5000 * i))
    write_text(folder / "training.json", dump_json({"figures": {"lr=0.0003": figures(records, 60)}}))


def write_finished(folder: Path) -> None:
    """Everything that was planned, with one hypothesis supported on one policy alone."""
    write_gradients(folder, "nano", q=[-0.6, -0.8, -0.4], s=[0.5, 0.3, 0.7])
    write_gradients(folder, "nano-early", q=[-0.1, -0.3, 0.1], s=[0.6, 0.4, 0.8])
    write_gradients(folder, "smollm2-135m-q4", q=[-0.4, -0.6, -0.2], s=[0.6, 0.4, 0.8], problems=40)
    write_training(folder, gain=0.06)
