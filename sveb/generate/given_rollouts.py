"""Rollouts that a trainer sampled, as the context of a suite: what `sveb import-rollouts` wrote, to be completed.

Only probe rollouts are sampled anew, so no estimator has seen the rollouts that states are cut from. Training problems
get the imported rollouts too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.seeds import rng
from sveb.common.text import first_few
from sveb.generate.plan import Counts
from sveb.generate.state_cuts import RolloutRecord
from sveb.policies.codec import TextCodec
from sveb.policies.models import fetch_weights, find_model
from sveb.policies.policy import Sampling
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.tasks.grading import Grading
from sveb.tasks.problems import ProblemSet, problem_fault
from sveb.tasks.task import Task

_SAME = 1e-6  # returns are stored as float32


@dataclass(frozen=True)
class GivenRollouts:
    """Imported problems; their prompts' tokens and rollouts by problem_id; `sampling`, how the trainer sampled."""

    suite: Suite
    sampling: Sampling
    problems: ProblemSet
    prompts: dict[str, list[int]]
    rollouts: Mapping[str, list[RolloutRecord]]

    @property
    def note(self) -> dict[str, Any]:
        """The import's notes, which the completed suite keeps."""
        return {**self.suite.manifest.notes, "rollouts": {"suite": self.suite.name, "checksum": self.suite.checksum}}


def open_given(folder: Path) -> Suite:
    """Opens what `sveb import-rollouts` wrote."""
    suite = Suite.open(folder)
    if suite.manifest.statistics["states"] != {"root": 0, "path": 0, "sibling": 0}:
        raise SvebError(f"{folder} is a suite with states: --from-rollouts needs a folder of `sveb import-rollouts`")
    return suite


def given_counts(suite: Suite, asked: Mapping[str, int | None]) -> dict[str, int | None]:
    """The counts, with those that the import fixes. By default all problems that are not for training are tested."""
    counts, n = suite.manifest.counts, suite.manifest.counts["test_problems"]
    test, train = asked.get("test_problems"), asked.get("train_problems")
    for name in ("group", "train_group"):
        if asked.get(name) not in (None, counts["group"]):
            raise SvebError(f"--{name.replace('_', '-')} {asked[name]}: the imported groups have {counts['group']}")
    train = train if train is not None else max(0, n - test) if test is not None else 0
    test = test if test is not None else n - train
    if test + train > n or test < 1:
        raise SvebError(f"{suite.path} contains {n} problems; {test} for test and {train} for training were asked for")
    return {
        **asked, "test_problems": test, "train_problems": train, "group": counts["group"],
        "train_group": counts["group"],
    }  # fmt: skip


def given_rollouts(
    folder: Path, model: str, revision: str | None, task: Task, codec: TextCodec, counts: Counts, seed: int
) -> GivenRollouts:
    """Test and training problems of the import in `folder`, chosen by `seed`, with all of their rollouts.

    Problems without an answer that the task's grader can use are left out and counted. Raises SvebError if too few are
    left, or if the import is of another model.
    """
    suite, test, train = open_given(folder), counts.test_problems, counts.train_problems
    if fetch_weights(find_model(model).source, revision).sha256 != suite.manifest.policy["sha256"]:
        raise SvebError(
            f"{folder} was imported with --model {suite.manifest.policy['source']}, and --model {model} has other "
            "weights: the truth must be of the policy that sampled the rollouts"
        )
    rows = {row["problem_id"]: row for row in suite.table("problems").to_pylist()}
    faults: dict[str, str] = {}
    usable: list[ProblemRecord] = []
    for name, row in rows.items():
        problem = ProblemRecord(name, row["question"], row["answer"], row["tier"], json.loads(row["extras"] or "{}"))
        if fault := problem_fault(task, problem):
            faults[name] = fault
        else:
            usable.append(problem)
    if len(usable) < test + train:
        listed = first_few([f"{name}: {fault}" for name, fault in faults.items()], 3, "; ")
        raise SvebError(
            f"{suite.path} contains {len(usable)} problems that task {task.name} can grade, {test + train} were asked "
            f"for ({listed}): import again with --data FILE, which gives the answers, or use --test-problems "
            f"{max(1, len(usable) - train)}"
        )
    order = rng(seed, "problems").permutation(len(usable))
    chosen = [usable[i] for i in order[: test + train]]
    wanted = {problem.problem_id: "context" if i < test else "train" for i, problem in enumerate(chosen)}
    rollouts: dict[str, list[RolloutRecord]] = {name: [] for name in wanted}
    for row in suite.table("rollouts").to_pylist():
        if (role := wanted.get(row["problem_id"])) is not None:
            name = row["rollout_id"] if role == "context" else row["rollout_id"].replace("/c", "/t")
            rollouts[row["problem_id"]].append(
                RolloutRecord(
                    name, row["problem_id"], role, row["token_ids"], codec.decode(row["token_ids"]), row["return_"],
                    row["finish_reason"], task.step_ends(codec.pieces(row["token_ids"])), None,
                )
            )  # fmt: skip
    dataset = {
        "kind": "rollouts",
        "suite": suite.checksum,
        **({"left_out": {"unusable": len(faults)}} if faults else {}),
    }
    prompts = {name: rows[name]["prompt_token_ids"] for name in wanted}
    sampling = Sampling(**suite.manifest.sampling)
    return GivenRollouts(suite, sampling, ProblemSet(chosen[test:], chosen[:test], dataset), prompts, rollouts)


def returns_graded_otherwise(given: GivenRollouts, grading: Grading) -> dict[str, int]:
    """How many imported returns the task's grader gives otherwise: {"rollouts", "graded_otherwise"}.

    The truth is graded by the task, so a trainer's shaped rewards would be another quantity than the values.
    """
    problems = {p.problem_id: p for p in (*given.problems.test, *given.problems.train)}
    graded = [
        (rollout.return_, grading.submit(problems[name], rollout.text, rollout.finish_reason or "stop"))
        for name, rollouts in given.rollouts.items()
        for rollout in rollouts
        if rollout.return_ is not None
    ]
    found = [(return_, future.result()) for return_, future in graded]
    otherwise = sum(grade is not None and abs(return_ - grade) > _SAME for return_, grade in found)
    return {"rollouts": len(found), "graded_otherwise": otherwise}
