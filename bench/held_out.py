"""Errors of estimators on training problems alone: what parameters and methods may be chosen by.

Problems are dealt to five folds, and an estimator that is fitted on four of them values the states of the fifth's
rollouts, each from the other rollouts of its problem: what it says is compared with that rollout's return. No truth is
read. Most of the squared error is the noise of returns, the same for all: the table shows what each has less than
the group mean, with its standard error over problems. Training groups are smaller than test groups: what works with 7
others is not sure to work with 32.

    python -m bench.held_out group_mean numca stacked
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bench.report import report
from sveb.harness.forward_passes import load_checked
from sveb.harness.load_estimator import load_builtin
from sveb.harness.local_policy import LocalPolicy, Sampled
from sveb.harness.visible_inputs import Inputs
from sveb.policies.transformers_engine import TransformersPolicy
from sveb.suite.suite import Suite

Floats = npt.NDArray[Any]

FOLDS = 5


def training_problems(inputs: Inputs) -> list[Sampled]:
    """All of the suite's."""
    return [
        Sampled(inputs.record("train", index), inputs.prompt("train", index), inputs.rollouts("train", index))
        for index in range(len(inputs.problem_ids["train"]))
    ]


def squared_errors(name: str, problems: list[Sampled], access: LocalPolicy) -> Floats:
    """(n_problems,): the mean over a problem's rollouts of the mean over their states."""
    errors = np.zeros(len(problems))
    for fold in range(FOLDS):
        estimator = load_builtin(name, {})
        estimator._policy = access
        access.begin()
        estimator.fit([access.whole(str(i), each) for i, each in enumerate(problems) if i % FOLDS != fold])
        for place in range(fold, len(problems), FOLDS):
            left_out = []
            for row, return_ in enumerate(problems[place].group.returns):
                problem, states = access.left_out(str(place), problems[place], row)
                found = np.asarray(estimator.predict(problem.with_states(states)))
                left_out.append(np.mean((found - return_) ** 2))
            errors[place] = np.mean(left_out)
    return errors


def main() -> None:
    """Runs the bench."""
    suite = Suite.open("ledger-nano")
    policy = cast("TransformersPolicy", load_checked(suite.manifest, "transformers"))
    access = LocalPolicy(policy, suite.manifest, Path("bench/out/held_out"))
    problems = training_problems(Inputs(suite, seed=0))
    names = sys.argv[1:] or [
        "shrunk_mean",
        "numca",
        "text_similarity",
        "hista",
        "kernel",
        "probe",
        "probe_group",
        "stacked",
    ]
    zero = squared_errors("group_mean", problems, access)
    figures = {"group_mean": {"mse": round(float(zero.mean()), 4)}}
    for name in names:
        errors = squared_errors(name, problems, access)
        less = errors - zero
        figures[name] = {
            "mse": round(float(errors.mean()), 4),
            "less_group_mean": round(float(less.mean()), 4),
            "se": round(float(less.std(ddof=1) / np.sqrt(len(less))), 4),
        }
        print(name, figures[name], flush=True)
    report("held_out", figures)


if __name__ == "__main__":
    main()
