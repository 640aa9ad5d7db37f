"""Does a better score mean a better policy gradient? One estimator after another, without training.

docs/evidence.md has the definitions and what was registered. `python -m bench.gradients --policy nano --problems 400`
does all of it and prints the figures; a run that was killed continues with the same command. `--figures` prints the
figures of what is finished. In the folder (bench/out/gradients/<policy>):

  suites/part-00/          50 fresh problems each; probes are cut at every step end
  runs/part-00/<name>/     the estimators' values, as `sveb eval` leaves them
  references/part-00/      the reference gradient of each problem (.npy)
  products-<N>/            inner products of each problem's score vectors (.npz) and, in references.npy, those of the
                           N reference gradients

A larger policy needs --sketch, because its gradients do not fit into memory: `--policy smollm2-135m-q4 --task instruct
--problems 40 --sketch 65536`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

import sveb
from bench.score_vectors import Array, Probe, Products, ScoreVectors, products
from sveb.common.errors import SvebError
from sveb.common.files import write_atomic
from sveb.common.processor import cores
from sveb.common.seeds import seeds
from sveb.evaluation import run_name
from sveb.generate.generation import task_for
from sveb.policies.engines import load_policy
from sveb.policies.policy import SampleRequest, Sampling
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task

PART = 50  # problems
FIRST_SEED = 1001  # part k has seed FIRST_SEED + k; its reference rollouts have seeds of FIRST_SEED + 1000 + k
COUNTS = {
    "train_problems": 180, "group": 32, "train_group": 8, "probes": 12, "path_states": 60, "sibling_parents": 0,
    "siblings": 0, "continuations": 8, "draws": 16, "audit": 0,
}  # fmt: skip
ESTIMATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("constant", {}),
    "group_mean": ("group_mean", {}),
    "numca": ("numca", {}),
    "hista": ("hista", {}),
    "probe_group": ("probe_group", {}),
    "stacked": ("stacked", {}),
    "critic": ("critic", {"epochs": 2}),
    "mc-1": ("mc", {"k": 1}),
    "mc-4": ("mc", {"k": 4}),
    "mc-9": ("mc", {"k": 9}),
}


@dataclass(frozen=True)
class Plan:
    """What one experiment consists of. `references`: rollouts of a problem behind its reference gradient."""

    policy: str
    problems: int
    folder: Path
    task: str | None = None
    sketch: int = 0
    part: int = PART
    references: int = 64
    counts: Mapping[str, int] = field(default_factory=lambda: COUNTS)
    estimators: Mapping[str, tuple[str, dict[str, Any]]] = field(default_factory=lambda: ESTIMATORS)

    def parts(self) -> list[tuple[int, int]]:
        """(number, problems) of each part."""
        return [
            (k, min(self.part, self.problems - start)) for k, start in enumerate(range(0, self.problems, self.part))
        ]

    def problem_files(self, folder: str, suffix: str) -> list[list[Path]]:
        """The file of each problem of each part."""
        return [
            [self.folder / folder / f"part-{k:02d}" / f"{i:03d}{suffix}" for i in range(size)]
            for k, size in self.parts()
        ]

    @property
    def product_folder(self) -> str:
        """Where inner products with this plan's reference gradients are."""
        return f"products-{self.problems}"


def suite_of(plan: Plan, part: int, size: int) -> sveb.Suite:
    """The suite of a part; generated where it is not finished."""
    return sveb.generate_suite(
        plan.policy, task=plan.task, out=plan.folder / "suites" / f"part-{part:02d}", seed=FIRST_SEED + part,
        counts={**plan.counts, "test_problems": size},
    )  # fmt: skip


def run_folder(plan: Plan, part: int, name: str) -> Path:
    """Where the values of one estimator on one part are."""
    return plan.folder / "runs" / f"part-{part:02d}" / run_name(*plan.estimators[name])


def evaluate(plan: Plan, part: int, name: str) -> None:
    """One estimator's values on one part."""
    spec, params = plan.estimators[name]
    sveb.evaluate(spec, plan.folder / "suites" / f"part-{part:02d}", params, runs=plan.folder / "runs")


@dataclass(frozen=True)
class _Work:
    """What reference gradients are made with; loaded once in each process."""

    policy: Any
    vectors: ScoreVectors
    task: Task

    @classmethod
    @cache
    def of(cls, policy: str, task: str, sketch: int) -> _Work:
        loaded: Any = load_policy(policy, "transformers", workers=1)
        return cls(loaded, ScoreVectors(loaded.model, sketch), Task.load(task))

    def rollouts(self, problem: ProblemRecord, prompt: list[int], numbers: Array) -> tuple[list[list[int]], Array]:
        """Fresh responses with these seeds, and their returns."""
        sampling = Sampling(**self.task.sampling)
        requests = [SampleRequest(i, prompt, int(seed), sampling.max_new_tokens) for i, seed in enumerate(numbers)]
        done = sorted(self.policy.sample(requests, sampling), key=lambda each: each.key)
        texts = self.policy.codec.decode_many([each.token_ids.tolist() for each in done])
        with Grading(self.task) as grading:
            grades = [grading.submit(problem, text, each.finish_reason) for text, each in zip(texts, done, strict=True)]
            returns = [grade.result() for grade in grades]
        graded = [i for i, return_ in enumerate(returns) if return_ is not None]
        return [done[i].token_ids.tolist() for i in graded], np.array([returns[i] for i in graded], dtype=np.float64)


def _work(plan: Plan) -> _Work:
    return _Work.of(plan.policy, task_for(plan.policy, plan.task), plan.sketch)


def reference(plan: Plan, part: int, size: int, place: int, out: Path) -> None:
    """The reference gradient of one problem."""
    work = _work(plan)
    problem = load_problems(work.task, plan.counts["train_problems"], size, FIRST_SEED + part).test[place]
    prompt = work.policy.codec.render(work.task.messages(problem), work.task.chat_template_kwargs)
    numbers = seeds(FIRST_SEED + 1000 + part, np.arange(plan.references) + place * plan.references)
    gradient = work.vectors.of_group(prompt, *work.rollouts(problem, prompt, numbers))
    _save(out, gradient.numpy())


def stack_references(plan: Plan) -> Path:
    """All reference gradients in one file, which processes share, and their inner products in another."""
    folder = plan.folder / plan.product_folder
    out, gram = folder / "gradients.npy", folder / "references.npy"
    if not gram.exists():
        rows = np.stack([np.load(file) for files in plan.problem_files("references", ".npy") for file in files])
        _save(out, rows)
        every = torch.from_numpy(rows)
        _save(gram, (every @ every.T).double().numpy())
    return out


def names_of_problems(suite: sveb.Suite) -> list[str]:
    """The ids of the test problems, in the order of the suite: that of the reference gradients and of the products."""
    return suite.problems.index[suite.problems["split"] == "test"].tolist()


def probes_of(suite: sveb.Suite) -> list[list[Probe]]:
    """The probe rollouts of each test problem, problems in the order of the suite."""
    states = suite.states.sort_values(["rollout_id", "step_index"])
    roots = states[states["kind"] == "root"].set_index("problem_id")["state_id"]
    paths = dict(list(states[states["kind"] == "path"].groupby("rollout_id")))
    rollouts = suite.rollouts("probe")
    found = []
    for name in names_of_problems(suite):
        rows = rollouts[(rollouts["problem_id"] == name) & rollouts["return_"].notna()]
        prompt = suite.problems.loc[name, "prompt_token_ids"].tolist()
        probes = []
        for row in rows.itertuples():
            cut = paths.get(row.rollout_id, states.iloc[:0])
            probes.append(
                Probe(
                    prompt, row.token_ids.tolist(), [0, *cut["n_tokens"].tolist()],
                    [roots[name], *cut["state_id"].tolist()], float(row.return_),
                )
            )  # fmt: skip
        found.append(probes)
    return found


def multiply(plan: Plan, part: int, place: int, out: Path) -> None:
    """The inner products of one problem's score vectors."""
    probes = _probes(plan.folder / "suites" / f"part-{part:02d}")[place]
    references = torch.from_numpy(np.load(stack_references(plan), mmap_mode="c"))
    products(_work(plan).vectors, probes, references).write(out)


@cache
def _probes(folder: Path) -> list[list[Probe]]:
    return probes_of(sveb.load_suite(folder))


def _save(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.save(stream, array)

    write_atomic(path, write)


class Pool:
    """One process for each core; a bar for each stage. Its processes end when this one does, however it ends."""

    def __init__(self, progress: Progress) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(cores(), context, _watch, (os.getpid(),))
        self._progress = progress

    def run(self, title: str, work: Callable[..., None], jobs: Iterable[tuple[Path, tuple[Any, ...]]]) -> None:
        """`work(*arguments)` for each (file, arguments) whose file does not exist."""
        wanted = list(jobs)
        left = [arguments for file, arguments in wanted if not file.exists()]
        bar = self._progress.add_task(title, total=len(wanted), completed=len(wanted) - len(left))
        for future in [self._pool.submit(work, *arguments) for arguments in left]:
            future.result()
            self._progress.advance(bar)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _watch(parent: int) -> None:
    """Ends this process when its parent has ended: a killed parent could not tell it."""

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def carry_out(plan: Plan, progress: Progress) -> None:
    """Everything that is not finished yet."""
    with Pool(progress) as pool:
        files = plan.problem_files("references", ".npy")
        pool.run(
            "reference gradients",
            reference,
            [
                (file, (plan, k, size, i, file))
                for (k, size), part in zip(plan.parts(), files, strict=True)
                for i, file in enumerate(part)
            ],
        )
        stack_references(plan)
        for (k, size), part in zip(plan.parts(), plan.problem_files(plan.product_folder, ".npz"), strict=True):
            suite = plan.folder / "suites" / f"part-{k:02d}" / "manifest.json"
            if not suite.exists():
                bar = progress.add_task(f"part {k}: suite", total=None)
                suite_of(plan, k, size)
                progress.update(bar, total=1, completed=1)
            part[0].parent.mkdir(parents=True, exist_ok=True)
            pool.run(f"part {k}: products", multiply, [(file, (plan, k, i, file)) for i, file in enumerate(part)])
            pool.run(
                f"part {k}: values",
                evaluate,
                [(run_folder(plan, k, name) / "results.json", (plan, k, name)) for name in plan.estimators],
            )


def finished_problems(plan: Plan) -> dict[int, dict[int, Products]]:
    """The products of all finished problems: by part, and by place among the part's test problems."""
    found: dict[int, dict[int, Products]] = {}
    for k, files in enumerate(plan.problem_files(plan.product_folder, ".npz")):
        finished = {place: Products.read(file) for place, file in enumerate(files) if file.exists()}
        if finished and (run_folder(plan, k, "group_mean") / "results.json").exists():
            found[k] = finished
    if not found:
        raise SvebError(f"{plan.folder} holds no finished problem: run the same command without --figures first")
    return found


def finished_estimators(plan: Plan, parts: Iterable[int]) -> list[str]:
    """The estimators that have values on all of these parts."""
    return [
        name
        for name in plan.estimators
        if all((run_folder(plan, part, name) / "results.json").exists() for part in parts)
    ]


def main() -> None:
    """Runs the bench."""
    from bench.gradient_figures import show  # reads what this module writes

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="nano", help="a policy's name, as `sveb models` lists them")
    parser.add_argument("--task", help="the task; default: the policy's own")
    parser.add_argument("--problems", type=int, default=400, help="fresh problems, in parts of 50")
    parser.add_argument("--folder", type=Path, default=Path("bench/out/gradients"), help="where the work is kept")
    parser.add_argument("--sketch", type=int, default=0, help="dimensions that gradients are sketched to; 0: exact")
    parser.add_argument("--critic-20k", type=Path, help="the scratch folder of a critic that was trained elsewhere")
    parser.add_argument("--figures", action="store_true", help="only print the figures of what is finished")
    given = parser.parse_args()
    estimators = dict(ESTIMATORS)
    if given.critic_20k is not None:
        estimators["critic-20k"] = ("critic", {"epochs": 2, "checkpoint": str(given.critic_20k.resolve())})
    plan = Plan(
        given.policy, given.problems, given.folder / given.policy, given.task, given.sketch, estimators=estimators
    )
    if not given.figures:
        with Progress() as progress:
            carry_out(plan, progress)
    show(plan, finished_problems(plan))


if __name__ == "__main__":
    main()
