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
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.report import report
from sveb.common.errors import SvebError
from sveb.contract.problem import Group, Problem, State, Tokens
from sveb.estimators.shared.needed_states import unfinished_ends
from sveb.harness.forward_passes import Forward
from sveb.harness.load_estimator import load_builtin
from sveb.harness.visible_inputs import Inputs
from sveb.suite.suite import Suite

Floats = npt.NDArray[Any]

FOLDS = 5


class Reader:
    """What `self.policy` reads, but from the policy itself: along training rollouts and at their prefixes."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self.prompt: Floats = np.empty(0, np.int32)  # of the problem whose states are asked for

    def hidden_states(self, states: Sequence[State], layer: int = -1) -> Floats:
        sequences = [np.concatenate([self.prompt, state.token_ids]) for state in states]
        ends = [np.array([len(sequence)]) for sequence in sequences]
        return np.concatenate(self._forward.hidden_at(sequences, ends, layer))

    def token_hidden_states(self, states: Sequence[State], layer: int = -1) -> Iterator[Floats]:
        return self._at_tokens([np.concatenate([self.prompt, state.token_ids]) for state in states], layer)

    def confidences(self, states: Sequence[State], k: int = 20) -> list[Floats]:
        sequences = [np.concatenate([self.prompt, state.token_ids]) for state in states]
        return self._forward.confidences(sequences, [len(self.prompt)] * len(states), k)

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[Floats]:
        ends = [np.concatenate([[0], each]) + len(problem.prompt_token_ids) for each in problem.group.step_ends]
        return self._forward.hidden_at(_sequences(problem), ends, layer)

    def rollout_token_hidden_states(self, problem: Problem, layer: int = -1) -> Iterator[Floats]:
        return self._at_tokens(_sequences(problem), layer)

    def rollout_confidences(self, problem: Problem, k: int = 20) -> list[Floats]:
        starts = [len(problem.prompt_token_ids)] * len(problem.group)
        return self._forward.confidences(_sequences(problem), starts, k)

    def rollout_prefix_texts(self, problem: Problem) -> list[list[str]]:
        group = problem.group
        prefixes = [
            [tokens[:end] for end in [0, *ends]] for tokens, ends in zip(group.token_ids, group.step_ends, strict=True)
        ]
        lengths = self._forward.text_lengths(prefixes)
        return [[text[:end] for end in row] for text, row in zip(group.texts, lengths, strict=True)]

    def _at_tokens(self, sequences: list[Floats], layer: int) -> Iterator[Floats]:
        return iter(self._forward.hidden_at(sequences, [np.arange(1, len(each) + 1) for each in sequences], layer))


def _sequences(problem: Problem) -> list[Floats]:
    return [np.concatenate([problem.prompt_token_ids, tokens]) for tokens in problem.group.token_ids]


def training_problems(inputs: Inputs) -> list[Problem]:
    """All of the suite's."""
    found = []
    for index in range(len(inputs.problem_ids["train"])):
        rollouts = inputs.rollouts("train", index)
        group = Group(rollouts.returns, rollouts.texts, rollouts.token_ids, rollouts.step_ends)
        found.append(_problem(str(index), inputs.question("train", index), inputs.prompt("train", index), [], group))
    return found


def left_out(problem: Problem, texts: list[list[str]]) -> Iterator[tuple[Problem, float]]:
    """For each rollout a problem whose states are its prefixes and whose group are the others, and its return."""
    group = problem.group
    for i, return_ in enumerate(group.returns):
        rest = [j for j in range(len(group)) if j != i]
        others = Group(
            group.returns[rest],
            [group.texts[j] for j in rest],
            [group.token_ids[j] for j in rest],
            [group.step_ends[j] for j in rest],
        )
        states = [
            State(f"{problem.id}-{i}-{step}", group.token_ids[i][:end], texts[i][step], int(end), step, "path")
            for step, end in enumerate(unfinished_ends(group, i))
        ]
        yield _problem(problem.id, problem.question, problem.prompt_token_ids, states, others), float(return_)


def _problem(name: str, question: str, prompt: Tokens, states: list[State], group: Group) -> Problem:
    def no_answer() -> str:
        raise SvebError("the reference answer is not read here")

    return Problem(name, question, prompt, states, 0, lambda: group, no_answer)


def squared_errors(name: str, problems: list[Problem], reader: Reader) -> Floats:
    """(n_problems,): the mean over a problem's rollouts of the mean over their states."""
    errors = np.zeros(len(problems))
    for fold in range(FOLDS):
        estimator = load_builtin(name, {})
        estimator._policy = reader  # type: ignore[assignment]
        estimator.fit([problem for place, problem in enumerate(problems) if place % FOLDS != fold])
        for place in range(fold, len(problems), FOLDS):
            problem = problems[place]
            reader.prompt = problem.prompt_token_ids
            asked = list(left_out(problem, reader.rollout_prefix_texts(problem)))
            values = [(np.asarray(estimator.predict(each)), return_) for each, return_ in asked]
            errors[place] = np.mean([np.mean((found - return_) ** 2) for found, return_ in values])
    return errors


def main() -> None:
    """Runs the bench."""
    suite = Suite.open("ledger-nano")
    reader = Reader(Forward(suite.manifest))
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
    zero = squared_errors("group_mean", problems, reader)
    figures = {"group_mean": {"mse": round(float(zero.mean()), 4)}}
    for name in names:
        errors = squared_errors(name, problems, reader)
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
