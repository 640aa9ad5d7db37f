"""The page that sets any two entries of a suite against each other, problem by problem.

It holds each entry's squared error a problem, from which its script computes what `sveb compare` would say. Hence its
size grows with the entries, not with their pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jinja2 import Template

from sveb.score.arrays import FloatArray, count_by, sum_by
from sveb.score.bootstrap import LEVEL
from sveb.score.score import unmet_needs
from sveb.site.board_ranks import Known
from sveb.site.site_data import SuiteView, short

_QUESTION_CHARACTERS = 140


def versus_page(template: Template, look: Mapping[str, Any], view: SuiteView, known: Known) -> str:
    """The page of the entries whose predictions fit the suite, two at least."""
    return template.render(data=versus_data(view, known), view=view, **look)


def versus_data(view: SuiteView, known: Known) -> dict[str, Any]:
    """What the page embeds; P problems that have path states.

    By entry, `error` (P,) is its mean squared error on each problem, the truth's noise included. `gain` (P,) is the sum
    of the group mean's squared errors less the truth's noise; None where the suite offers no skill, for `skilless`.
    `z`: the standard errors that a 95 % interval spans on either side.
    """
    truth = known.truth
    rows, size = truth.rows("path"), len(truth.problem_ids)
    problem, g = truth.problem[rows], truth.mean[rows]
    states = count_by(problem, size)
    shown = np.flatnonzero(states)

    def by_problem(terms: FloatArray) -> FloatArray:
        return sum_by(problem, size, terms)[shown]

    unmet = unmet_needs(truth)
    skilless = next((unmet[need] for need in ("noise", "context") if need in unmet), None)
    group = by_problem((truth.group_mean[problem] - g) ** 2 - truth.noise[rows])
    table = known.suite.table("problems", ["problem_id", "question"])
    questions = dict(zip(table["problem_id"].to_pylist(), table["question"].to_pylist(), strict=True))
    ids = [truth.problem_ids[p] for p in shown.tolist()]
    return {
        "suite": view.key,
        "explored": view.explored,
        "z": short(_reach(len(shown))),
        "problems": [
            {"id": p, "states": int(n), "question": (questions.get(p) or "")[:_QUESTION_CHARACTERS]}
            for p, n in zip(ids, states[shown], strict=True)
        ],
        "gain": None if skilless else [short(float(x)) for x in group],
        "skilless": skilless,
        "entries": [
            {
                "name": row.entry.metadata.name,
                "title": row.entry.metadata.title,
                "missing": int((~known.given[row.entry.metadata.name][rows]).sum()),
                "error": [
                    short(float(x))
                    for x in by_problem((known.values[row.entry.metadata.name][rows] - g) ** 2) / states[shown]
                ],
            }
            for row in view.rows
            if row.entry.metadata.name in known.values
        ],
    }


def _reach(problems: int) -> float:
    """Student's quantile over `problems`, widened as the scorer's intervals are; NaN for one problem."""
    from scipy.special import stdtrit

    if problems < 2:
        return math.nan
    return float(stdtrit(problems - 1, (1 + LEVEL) / 2)) * math.sqrt(problems / (problems - 1))
