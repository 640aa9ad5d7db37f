"""How much better do estimators get that learn from more training rollouts?

Each is fitted on 1,440 to 60,000 rollouts of another suite of the same policy and task, and scored on the embedded
suite's truth, with three seeds. A seed chooses the training problems and the critic's order of rollouts. Up to 20,000
rollouts two seeds have no problem in common; at 60,000 all have the same. The training rollouts come from

    sveb generate --model nano --seed 1 --train-problems 7600 --test-problems 2 --group 2 --probes 1 --path-states 2 \
        --sibling-parents 0 --continuations 2 --draws 0 --audit 0 --out bench/out/learning_curves/train

Each finished cell is a file under bench/out/learning_curves/cells, by the embedded suite's checksum. A killed run
continues, also inside a critic's training. One process per core. The whole takes hours, nearly all of it critics:

    python -m bench.learning_curves                                 # everything
    python -m bench.learning_curves probe stacked --most 8000       # some of it
    python -m bench.learning_curves --table                         # the table and the picture of what is there
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np

from bench.held_out import Floats, training_problems
from bench.learning_picture import Point, picture
from sveb.common.errors import SvebError
from sveb.common.files import write_atomic, write_text
from sveb.common.processor import cores
from sveb.contract.estimator import Workplace
from sveb.contract.problem import Problem
from sveb.evaluation import evaluate
from sveb.harness.forward_passes import load_checked, weights_of
from sveb.harness.load_estimator import load_builtin
from sveb.harness.local_policy import LocalPolicy, Sampled
from sveb.harness.visible_inputs import Inputs
from sveb.policies.transformers_engine import TransformersPolicy
from sveb.runs.results import Estimate, Results
from sveb.score.seed_spread import half_width, widened
from sveb.suite.suite import Suite

OUT = Path("bench/out/learning_curves")
PICTURE = Path("docs/learning-curves.svg")
ROLLOUTS = (1440, 4000, 8000, 20_000, 60_000)
PER_PROBLEM = 8
SEEDS = (0, 1, 2)
APART = 20_000 // PER_PROBLEM  # problems between the first ones of two seeds
CHUNK = 100  # problems whose hidden states are in one file
_CRITIC = {"epochs": "2"}
ESTIMATORS: dict[str, tuple[str, dict[str, str]]] = {
    "probe": ("probe", {}),
    "probe_group": ("probe_group", {}),
    "stacked": ("stacked", {}),
    "critic": ("critic", _CRITIC),
    "critic-group=level": ("critic", _CRITIC | {"group": "level"}),
    "critic-group=train": ("critic", _CRITIC | {"group": "train"}),
}
METRICS = ("skill", "r2_within", "adv_corr", "explained_variance")


@dataclass(frozen=True)
class Cell:
    """One estimator, fitted on so many rollouts, with one seed."""

    estimator: str
    rollouts: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.estimator}-{self.rollouts}-{self.seed}"

    @property
    def file(self) -> Path:
        """Its results, once it is finished."""
        return OUT / "cells" / Suite.open().checksum[:16] / f"{self.name}.json"

    @property
    def problems(self) -> range:
        """Places of its training problems in the pool, which is read as a ring."""
        first = self.seed * APART
        return range(first, first + self.rollouts // PER_PROBLEM)

    def measure(self) -> None:
        """Fits the estimator in this process, and evaluates it as any other."""
        name, params = ESTIMATORS[self.estimator]
        # All variants of a critic share its training, and a killed one is found here.
        scratch = OUT / "trained" / f"{name}-{self.rollouts}-{self.seed}"
        scratch.mkdir(parents=True, exist_ok=True)
        estimator = load_builtin(name, dict(params))
        access = StepReader(scratch)
        estimator._policy = access
        estimator._rng = np.random.default_rng(self.seed)
        estimator._workplace = Workplace(scratch, Path.cwd(), _progress(self.name))
        ring = pool()
        estimator.fit([access.whole(str(n), ring[n]) for n in (place % len(ring) for place in self.problems)])
        work = OUT / "work" / self.name
        work.mkdir(parents=True, exist_ok=True)
        (work / "fitted.pickle").write_bytes(pickle.dumps(estimator))
        spec, given = "bench/fitted_estimator.py", {"file": str(work / "fitted.pickle")}
        run = evaluate(Suite.open(), spec, given, work / "runs", seed=self.seed)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.file, lambda temporary: run.results.write(temporary))
        shutil.rmtree(work)


class StepReader(LocalPolicy):
    """The policy, whose hidden states at the steps of the pool's rollouts were read before, all layers in one pass."""

    def __init__(self, scratch: Path) -> None:
        manifest = source().manifest
        super().__init__(cast("TransformersPolicy", load_checked(manifest, "transformers")), manifest, scratch)

    def weights(self) -> str:
        return weights_of(source().manifest.policy["source"])

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[Floats]:
        place = int(problem.id)
        layers = np.load(hidden_file(place // CHUNK), mmap_mode="r")
        if not -len(layers) <= layer < len(layers):
            raise SvebError(f"no layer {layer}: the policy has {len(layers) - 1}")
        first = sum(map(_n_positions, pool()[place // CHUNK * CHUNK : place]))
        ends = np.cumsum([1 + len(steps) for steps in problem.group.step_ends])
        rows = np.array(layers[layer, first : first + ends[-1]])
        return np.split(rows, ends[:-1])


def source() -> Suite:
    """The suite whose training problems are the pool."""
    return Suite.open(OUT / "train")


@cache
def pool() -> list[Sampled]:
    """The training problems, in a fixed order, without those that the embedded suite tests."""
    embedded = Inputs(Suite.open(), seed=0)
    tested = {embedded.question("test", index) for index in range(len(embedded.problem_ids["test"]))}
    return [each for each in training_problems(Inputs(source(), seed=0)) if each.record.question not in tested]


def hidden_file(chunk: int) -> Path:
    """Hidden states (n_layers + 1, n_positions, d) at the prompt's and the steps' ends of a chunk's rollouts."""
    return OUT / "hidden" / f"{chunk:04d}.npy"


def read_hidden(chunk: int) -> None:
    """Writes that file."""
    import torch

    from sveb.estimators.shared.value_model import backbone_of, padded, parts  # imports torch

    backbone = backbone_of(weights_of(source().manifest.policy["source"]), pretrained=True)
    found: list[Floats] = []
    for problem in pool()[chunk * CHUNK : (chunk + 1) * CHUNK]:
        group, sequences = problem.group, problem.sequences
        at_ends: list[Floats] = [np.empty(0)] * len(sequences)
        for rows in parts([len(each) for each in sequences], 4096):
            ids, mask = padded([sequences[row] for row in rows], "cpu")
            with torch.inference_mode():
                read = backbone(input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True)
            layers = torch.stack(read.hidden_states).numpy()
            for place, row in enumerate(rows):
                ends = len(problem.prompt) - 1 + np.concatenate([[0], group.step_ends[row]])
                at_ends[row] = layers[:, place, ends]
        found += at_ends
    hidden_file(chunk).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(hidden_file(chunk), lambda temporary: _save(temporary, np.concatenate(found, axis=1)))


def _save(path: Path, array: Floats) -> None:
    with path.open("wb") as stream:  # np.save would add an ending to the name
        np.save(stream, array)


def _n_positions(problem: Sampled) -> int:
    return sum(1 + len(steps) for steps in problem.group.step_ends)


def _progress(name: str) -> Callable[[int, int], None]:
    """Prints how far a training is, twice a minute."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() > last + 30:
            last = time.monotonic()
            print(f"  {name}: {done} of {total} rollouts", flush=True)

    return show


def run_all(jobs: Sequence[Callable[[], None]], names: Sequence[str]) -> None:
    """Runs the jobs in one process per core, and says which are done."""
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as processes:
        waiting = {processes.submit(job): name for job, name in zip(jobs, names, strict=True)}
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            print(f"{done} of {len(jobs)}: {waiting[future]}", flush=True)


def over_seeds(found: Sequence[Estimate]) -> tuple[Estimate, float]:
    """The mean over seeds with its 95 % interval, and the seeds' standard deviation (NaN for one seed).

    The interval adds, in quadrature, the mean interval over problems and that of the seeds' mean by Student's t. With
    fewer than three seeds it is over problems alone.
    """
    value = float(np.mean([each.value for each in found]))
    low, high = (float(np.mean([abs(getattr(each, end) - each.value) for each in found])) for end in ("low", "high"))
    values = np.array([each.value for each in found])
    spread = float(np.std(values, ddof=1)) if len(found) > 1 else math.nan
    seeds = half_width(values) if len(found) == len(SEEDS) else 0.0
    return widened(Estimate(value, value - low, value + high), seeds), spread


def table() -> None:
    """Prints what has been measured, and draws its skill."""
    print(f"| estimator | rollouts | seeds | {' | '.join(METRICS)} |")
    print("|---|---|---|" + "---|" * len(METRICS))
    curves: dict[str, list[Point]] = {}
    for estimator, rollouts in product(ESTIMATORS, ROLLOUTS):
        files = [Cell(estimator, rollouts, seed).file for seed in SEEDS]
        results = [Results.read(file) for file in files if file.exists()]
        if not results:
            print(f"| {estimator} | {rollouts:,} | 0 | {' | '.join(['not run'] * len(METRICS))} |")
            continue
        shown = []
        for metric in METRICS:
            mean, spread = over_seeds([each.metrics[metric] for each in results])
            of_seeds = f" ± {spread:.3f}" if len(results) > 1 else ""
            shown.append(f"{mean.value:.3f}{of_seeds} [{mean.low:.3f}, {mean.high:.3f}]")
            if metric == "skill":
                curves.setdefault(estimator, []).append(Point(rollouts, mean))
        print(f"| {estimator} | {rollouts:,} | {len(results)} | {' | '.join(shown)} |")
    write_text(PICTURE, picture(curves, ROLLOUTS))


def main() -> None:
    """Runs the bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.learning_curves")
    parser.add_argument("estimators", nargs="*", metavar="NAME", help=f"of {', '.join(ESTIMATORS)}; all by default")
    parser.add_argument("--most", type=int, default=max(ROLLOUTS), help="the largest number of training rollouts")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    if unknown := set(asked.estimators) - set(ESTIMATORS):
        parser.error(f"no estimator {', '.join(sorted(unknown))}: expected some of {', '.join(ESTIMATORS)}")
    if not asked.table:
        os.environ["OMP_NUM_THREADS"] = "1"  # the processes that are started read it
        measure(asked.estimators or list(ESTIMATORS), [n for n in ROLLOUTS if n <= asked.most])
    table()


def measure(estimators: Sequence[str], rollouts: Sequence[int]) -> None:
    """Runs the cells that are not there, the small ones first."""
    cells = [Cell(*each) for each in product(estimators, rollouts, SEEDS)]
    missing = [cell for cell in sorted(cells, key=lambda cell: cell.rollouts) if not cell.file.exists()]
    # Variants of a critic share its training: together they run in one process, one after the other.
    by_training: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in missing:
        by_training.setdefault((ESTIMATORS[cell.estimator][0], cell.rollouts, cell.seed), []).append(cell)
    chunks = {place % len(pool()) // CHUNK for cell in missing for place in cell.problems}
    unread = sorted(chunk for chunk in chunks if not hidden_file(chunk).exists())
    run_all([partial(read_hidden, chunk) for chunk in unread], [f"hidden states {chunk}" for chunk in unread])
    run_all([partial(_measure, group) for group in by_training.values()],
            [", ".join(cell.name for cell in group) for group in by_training.values()])  # fmt: skip


def _measure(cells: Sequence[Cell]) -> None:
    for cell in cells:
        cell.measure()


if __name__ == "__main__":
    main()
