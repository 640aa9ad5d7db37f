"""Where the estimator is most wrong: single states with their text, and whole problems."""

from __future__ import annotations

import math

import numpy as np

from sveb.runs.figures import WorstProblem, WorstState
from sveb.score.arrays import FloatArray, count_by, sum_by
from sveb.score.state_errors import squared_errors, truth_intervals
from sveb.score.truth import Truth
from sveb.suite.suite import Suite

STATES, PROBLEMS = 20, 10
_QUESTION_CHARACTERS, _PREFIX_CHARACTERS = 1200, 1200


def worst_states(suite: Suite, truth: Truth, values: FloatArray) -> list[WorstState]:
    """The path states of highest corrected squared error, worst first; ties are sorted by id."""
    rows = truth.rows("path")
    errors = squared_errors(truth, values, rows)
    order = sorted(range(len(rows)), key=lambda i: (-errors[i], truth.state_ids[rows[i]]))
    chosen = rows[order[:STATES]]
    low, high = truth_intervals(truth, chosen)
    questions, prefixes = _questions(suite), _prefixes(suite, [truth.state_ids[i] for i in chosen])
    found = []
    for place, i in enumerate(chosen.tolist()):
        problem_id = truth.problem_ids[truth.problem[i]]
        question, prefix = questions.get(problem_id, ""), prefixes[truth.state_ids[i]]
        found.append(
            WorstState(
                state_id=truth.state_ids[i],
                problem_id=problem_id,
                step_index=int(truth.step_index[i]),
                n_tokens=int(truth.n_tokens[i]),
                predicted=float(values[i]),
                truth=float(truth.mean[i]),
                low=float(low[place]),
                high=float(high[place]),
                returns=int(truth.n[i]),
                group_mean=float(truth.group_mean[truth.problem[i]]),
                question=question[:_QUESTION_CHARACTERS],
                question_cut=max(0, len(question) - _QUESTION_CHARACTERS),
                prefix=prefix[-_PREFIX_CHARACTERS:],
                cut=max(0, len(prefix) - _PREFIX_CHARACTERS),
            )
        )
    return found


def worst_problems(suite: Suite, truth: Truth, values: FloatArray) -> list[WorstProblem]:
    """The problems with the largest sums of corrected squared errors over their path states, worst first."""
    rows, size = truth.rows("path"), len(truth.problem_ids)
    problem = truth.problem[rows]
    states = count_by(problem, size)
    error, v, g = (
        sum_by(problem, size, x) for x in (squared_errors(truth, values, rows), values[rows], truth.mean[rows])
    )
    whole, questions = float(error.sum()), _questions(suite)
    order = sorted(np.flatnonzero(states).tolist(), key=lambda p: (-error[p], truth.problem_ids[p]))
    return [
        WorstProblem(
            problem_id=truth.problem_ids[p],
            question=questions.get(truth.problem_ids[p], ""),
            states=int(states[p]),
            share=float(error[p]) / whole if whole > 0 and math.isfinite(whole) else math.nan,
            mse=float(error[p] / states[p]),
            predicted=float(v[p] / states[p]),
            truth=float(g[p] / states[p]),
            group_mean=float(truth.group_mean[p]),
        )
        for p in order[:PROBLEMS]
    ]


def _questions(suite: Suite) -> dict[str, str]:
    table = suite.table("problems", ["problem_id", "question"])
    return {p: q or "" for p, q in zip(table["problem_id"].to_pylist(), table["question"].to_pylist(), strict=True)}


def _prefixes(suite: Suite, state_ids: list[str]) -> dict[str, str]:
    table = suite.table("states", ["state_id", "text"], [("state_id", "in", state_ids)]) if state_ids else None
    if table is None:
        return {}
    return {s: t or "" for s, t in zip(table["state_id"].to_pylist(), table["text"].to_pylist(), strict=True)}
