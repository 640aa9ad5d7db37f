"""Does an estimator with a better score train a better policy? One training run for each arm and seed.

    python -m bench.training --out DIR --arms group_mean stacked-half --seeds 1 2 3

The loop is the one of examples/train_with_estimator.py. A run is saved after every update. After `kill -9` the same
command continues to the same result, and so does one with more updates. There is one process per core. The figures of
all runs in DIR that have come so far are printed at the end; without seeds, only they.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scipy.stats import ttest_ind

from bench.report import report
from examples.train_with_estimator import Settings, Trainer
from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, write_atomic, write_text
from sveb.common.processor import cores
from sveb.common.seeds import rng
from sveb.training import Sampled

EVERY = 15  # updates between two evaluations
COUNTERS = ("updates", "batches", "tokens", "tokens_to_fit")
SMALL = 0.02  # the difference in area that the bench is meant to show
ARMS = {
    "group_mean": Settings(),
    "stacked": Settings(estimator="stacked"),
    "stacked-half": Settings(estimator="stacked", lam=0.5),
    "permuted-half": Settings(estimator="stacked", lam=0.5),
    "critic": Settings(estimator="bench/online_critic.py:OnlineCritic", lam=0.95, refit_every=1, fit_on=1),
    "mc": Settings(estimator="mc", params={"k": 4}, lam=0.0),
}


class PermutedTrainer(Trainer):
    """The control: each problem's values are permuted among all states of its rollouts, so they know no step."""

    def values(self, batch: list[Sampled]) -> list[list[np.ndarray]]:
        draw = rng(self.settings.seed, "permuted", self.updates)
        return [permuted(rows, draw) for rows in super().values(batch)]


def permuted(rows: list[np.ndarray], draw: np.random.Generator) -> list[np.ndarray]:
    """The same arrays with their values permuted among all of them."""
    ends = np.cumsum([len(row) for row in rows])[:-1]
    return np.split(draw.permutation(np.concatenate(rows)), ends) if rows else []


@dataclass(frozen=True)
class Cell:
    """One training run, and its folder."""

    arm: str
    settings: Settings
    folder: Path

    @classmethod
    def of(cls, out: Path, arm: str, seed: int, updates: int, lr: float) -> Cell:
        """The run of an arm in the folder of all runs."""
        return cls(arm, replace(ARMS[arm], seed=seed, updates=updates, lr=lr), out / f"{arm}-lr={lr:g}-seed={seed}")

    @property
    def record(self) -> dict[str, Any]:
        """As far as the run has come: a row for each update, success after so many updates, CPU seconds."""
        path = self.folder / "record.json"
        new = {"arm": self.arm, "settings": self._fixed, "updates": [], "success": {}, "cpu_s": 0.0}
        return read_json(path, "the record of a training run") if path.exists() else new

    @property
    def _fixed(self) -> dict[str, Any]:
        """The settings that cannot change when the run is continued."""
        return {name: value for name, value in asdict(self.settings).items() if name != "updates"}

    def run(self) -> None:
        """Trains to the end, from where the run was stopped."""
        parent = os.getppid()
        with _alone(self.folder):
            trainer = (PermutedTrainer if self.arm.startswith("permuted") else Trainer)(self.settings)
            record = self._resume(trainer)
            while True:
                began = time.process_time()
                if trainer.updates % EVERY == 0 and str(trainer.updates) not in record["success"]:
                    record["success"][str(trainer.updates)] = self._success(trainer)
                elif trainer.updates < self.settings.updates:
                    record["updates"].append(trainer.update())
                else:
                    return
                record["cpu_s"] += time.process_time() - began
                self._save(trainer, record)
                if os.getppid() != parent:
                    return  # the bench was killed: another one may have started

    def _success(self, trainer: Trainer) -> float:
        """Before the first update it is the same for all runs of one folder: computed once."""
        path = self.folder.parent / "untrained.json"
        if trainer.updates:
            return trainer.success()
        if not path.exists():
            write_text(path, dump_json(trainer.success()))
        return float(read_json(path, "the success of the untrained policy"))

    def _save(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """The record is in the checkpoint too: its own file may be one update older."""
        parts = {name: getattr(trainer, name).state_dict() for name in ("model", "optimizer", "valuer")}
        others = {name: getattr(trainer, name) for name in COUNTERS} | {"recent": list(trainer.recent)}
        write_atomic(self.folder / "checkpoint.pt", lambda path: torch.save(parts | others | {"record": record}, path))
        write_text(self.folder / "record.json", dump_json(record))

    def _resume(self, trainer: Trainer) -> dict[str, Any]:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return self.record
        saved = torch.load(path, weights_only=False)  # our own file
        record: dict[str, Any] = saved["record"]
        if record["settings"] != self._fixed:
            raise SvebError(f"{self.folder} was trained with other settings: choose another --out")
        for name in ("model", "optimizer", "valuer"):
            getattr(trainer, name).load_state_dict(saved[name])
        for name in COUNTERS:
            setattr(trainer, name, saved[name])
        trainer.recent.extend(saved["recent"])
        return record


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process trains in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def train(cells: list[Cell], workers: int) -> None:
    """Runs each cell in a process of its own, so many at a time, and shows how many updates are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    waiting, running = list(cells), list[SpawnProcess]()
    with Progress(*columns) as bar:
        task = bar.add_task("updates", total=sum(cell.settings.updates for cell in cells))
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(get_context("spawn").Process(target=waiting.pop(0).run, daemon=True))
                running[-1].start()
            time.sleep(1)
            bar.update(task, completed=sum(min(len(cell.record["updates"]), cell.settings.updates) for cell in cells))
            ended = [process for process in running if not process.is_alive()]
            if any(process.exitcode for process in ended):
                raise SvebError("a training run failed: see its error above; the same command continues the others")
            running = [process for process in running if process not in ended]


def area(x: np.ndarray, success: np.ndarray, end: float) -> float:
    """Mean success from x = 0 to `end`, along straight lines between the evaluations."""
    inside = np.append(x[x < end], end)
    return float(np.trapezoid(np.interp(inside, x, success), inside) / end)


def figures(records: list[dict[str, Any]], updates: int) -> dict[str, Any]:
    """For each arm its runs that have had so many updates: success at the end, areas, tokens and CPU time.

    `area_by_tokens` ends where the run with the fewest tokens ends. `seeds_needed` is for the area by updates.
    `curves`: success after so many updates and tokens, of each run and on average. `differences` of areas are with
    95 % intervals.
    """
    curves: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for record in records:
        at = [number for number in map(int, record["success"]) if number <= updates]
        if at and at[-1] == updates:
            rows = record["updates"][:updates]
            spent = np.array([0, *(row["tokens"] + row["tokens_of_estimator"] for row in rows)])
            success = np.array([record["success"][str(number)] for number in at])
            curve = {"at": np.array(at), "tokens": spent[at], "success": success, "cpu_s": record["cpu_s"]}
            curve["seed"] = record["settings"]["seed"]
            curves[record["arm"]].append(curve | {"returns": [row["return"] for row in rows]})
    budget = min((int(each["tokens"][-1]) for mine in curves.values() for each in mine), default=0)
    areas = {
        arm: {
            "area_by_updates": [area(each["at"], each["success"], updates) for each in mine],
            "area_by_tokens": [area(each["tokens"], each["success"], budget) for each in mine],
        }
        for arm, mine in curves.items()
    }
    found: dict[str, Any] = {}
    for arm, mine in curves.items():
        rows = areas[arm] | {
            "last_success": [float(each["success"][-1]) for each in mine],
            "mean_return_in_training": [float(np.mean(each["returns"])) for each in mine],
            "tokens": [int(each["tokens"][-1]) for each in mine],
            "cpu_minutes": [each["cpu_s"] / 60 for each in mine],
        }
        found[arm] = {name: spread(row) for name, row in rows.items()} if mine else "not run"
    sd = None if found["group_mean"] == "not run" else found["group_mean"]["area_by_updates"]["sd"]
    pairs = [*((arm, "group_mean") for arm in ARMS if arm != "group_mean"), ("stacked-half", "permuted-half")]
    return {
        "updates": updates,
        "tokens_compared": budget,
        "arms": found,
        "seeds_needed": sd and seeds_needed(sd),
        "settings": {arm: {"estimator": each.estimator, "lambda": each.lam} for arm, each in ARMS.items()},
        "curves": {arm: curves_of(mine) for arm, mine in curves.items() if mine},
        "differences": {
            f"{one} - {other}": {kind: difference(areas[one][kind], areas[other][kind]) for kind in areas[one]}
            for one, other in pairs
            if curves[one] and curves[other]
        },
    }


def curves_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Success by updates and tokens of each run, and the means over the runs after equally many updates."""
    rows = [{"updates": each["at"], "tokens": each["tokens"], "success": each["success"]} for each in runs]
    mean = {name: np.mean([row[name] for row in rows], axis=0).round(4).tolist() for name in rows[0]}
    seeds = [
        {"seed": each["seed"], **{name: values.tolist() for name, values in row.items()}}
        for each, row in zip(runs, rows, strict=True)
    ]
    return {"seeds": seeds, "mean": mean}


def difference(ours: list[float], theirs: list[float]) -> list[float | None]:
    """The difference of the means with Welch's 95 % interval; None for its ends with one seed on a side."""
    found = float(np.mean(ours) - np.mean(theirs))
    ends: tuple[float, float] = (np.nan, np.nan)
    if min(len(ours), len(theirs)) > 1:
        ends = ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    return [round(float(each), 4) if np.isfinite(each) else None for each in (found, *ends)]


def spread(values: list[float]) -> dict[str, Any]:
    """Number of seeds, mean, and the standard deviation over seeds, None of one seed."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"seeds": len(values), "mean": round(statistics.fmean(values), 4), "sd": sd and round(sd, 4)}


def seeds_needed(sd: float, difference: float = SMALL) -> int:
    """Seeds of each of two arms that show `difference` in four of five cases, at 5 %, by the normal approximation."""
    normal = statistics.NormalDist()
    return int(np.ceil(2 * (sd / difference * (normal.inv_cdf(0.975) + normal.inv_cdf(0.8))) ** 2))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded policy with several estimators, and compare.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs: it is continued")
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[], help="without seeds, only the figures are printed")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--lr", type=float, nargs="+", default=[Settings().lr])
    parser.add_argument("--workers", type=int, default=cores())
    options = parser.parse_args()
    if options.updates < EVERY or options.updates % EVERY or options.workers < 1:
        parser.error(f"expected at least one worker, and updates in multiples of {EVERY}: success is measured there")
    cells = [
        Cell.of(options.out, arm, seed, options.updates, lr)
        for seed in options.seeds
        for arm in options.arms
        for lr in options.lr
    ]
    try:
        train(cells, options.workers)
    except SvebError as error:
        parser.error(str(error))
    records = [read_json(path, "the record of a training run") for path in sorted(options.out.glob("*/record.json"))]
    found = {
        f"lr={lr:g}": figures([each for each in records if each["settings"]["lr"] == lr], options.updates)
        for lr in options.lr
    }
    report("training", found)


if __name__ == "__main__":
    main()
