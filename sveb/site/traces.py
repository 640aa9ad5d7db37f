"""What the explorer embeds: problems, their probe rollouts cut at the states, true values, the entries' values.

    {"suite": {...}, "left_out": [...], "truth": {"v": [], "low": [], "high": []},
     "estimators": [{"name", "title", "drawn": true | false, "v": []}],
     "problems": [{"id", "question", "answer", "tier", "group", "root": 0 | 1, "others": [text, ...],
                   "rollouts": [{"id", "steps": [[step_index, text, [text of a sibling, ...]], ...],
                                 "rest", "return", "finish"}]}]}

Lists of values run over the states in the order in which the problems name them: root, the root's siblings, then for
each step of each rollout the path state and its siblings. Values are whole thousandths, null where there is none. Each
text is what its state adds to the one before, so that no text stands there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sveb.score.arrays import FloatArray
from sveb.site.board_ranks import Known
from sveb.site.report_figures import truth_intervals
from sveb.site.site_data import Row, SuiteView
from sveb.site.worst_states import visible

_LARGEST = 10**6  # thousandths; an estimator may say anything


@dataclass(frozen=True)
class Step:
    """A path state: its row in the truth, the text since the state before, its siblings as (row, text)."""

    row: int
    index: int
    text: str
    siblings: list[tuple[int, str]]


@dataclass(frozen=True)
class Trace:
    """A probe rollout. `rest` is its text after the last state."""

    rollout_id: str
    steps: list[Step]
    rest: str
    return_: float | None
    finish: str


@dataclass(frozen=True)
class Problem:
    """A problem with its traces. `root` is the root's row in the truth, None where it has none."""

    problem_id: str
    question: str
    answer: str
    tier: str
    group_mean: float
    root: int | None
    siblings: list[tuple[int, str]]
    traces: list[Trace]

    @property
    def rows(self) -> list[int]:
        """Rows in the truth, in the order of the embedded lists."""
        found = [] if self.root is None else [self.root]
        found += [row for row, _ in self.siblings]
        for step in (step for trace in self.traces for step in trace.steps):
            found += [step.row, *(row for row, _ in step.siblings)]
        return found


def read_problems(known: Known) -> list[Problem]:
    """All problems with scored steps, by id."""
    truth, suite = known.truth, known.suite
    stored = suite.table("states", ["state_id", "rollout_id", "text", "parent_state_id"]).to_pylist()
    by_state = {state["state_id"]: state for state in stored}
    states = [by_state[state_id] for state_id in truth.state_ids]
    texts = {state["state_id"]: state["text"] or "" for state in states}
    siblings: dict[str, list[tuple[int, str]]] = {}
    for row in np.flatnonzero(truth.kind == "sibling").tolist():
        parent = states[row]["parent_state_id"]
        siblings.setdefault(parent, []).append((row, _added(texts.get(parent, ""), states[row]["text"] or "")))
    columns = ["rollout_id", "text", "return_", "finish_reason"]
    cut = suite.table("rollouts", columns, [("role", "=", suite.protocol.cut_from)]).to_pylist()
    rollouts = {rollout["rollout_id"]: rollout for rollout in cut}
    facts = suite.table("problems", ["problem_id", "question", "answer", "tier"]).to_pylist()
    by_problem = {fact["problem_id"]: fact for fact in facts}

    found = []
    for index, problem_id in enumerate(truth.problem_ids):
        mine = np.flatnonzero(truth.problem == index)
        paths, roots = mine[truth.kind[mine] == "path"].tolist(), mine[truth.kind[mine] == "root"].tolist()
        if not paths:
            continue
        fact = by_problem.get(problem_id, {})
        by_rollout: dict[str, list[int]] = {}
        for row in sorted(paths, key=lambda row: (truth.step_index[row], row)):
            by_rollout.setdefault(states[row]["rollout_id"], []).append(row)
        traces = []
        for rollout_id, rows in sorted(by_rollout.items()):
            steps, before = [], ""
            for row in rows:
                text, alternatives = states[row]["text"] or "", siblings.get(states[row]["state_id"], [])
                steps.append(Step(row, int(truth.step_index[row]), _added(before, text), alternatives))
                before = text
            rollout = rollouts.get(rollout_id, {})
            rest = _added(before, rollout["text"]) if rollout.get("text") else ""
            traces.append(Trace(rollout_id, steps, rest, rollout.get("return_"), rollout.get("finish_reason") or ""))
        problem = Problem(
            problem_id=problem_id,
            question=fact.get("question") or "",
            answer=fact.get("answer") or "",
            tier=fact.get("tier") or "",
            group_mean=float(truth.group_mean[index]),
            root=roots[0] if roots else None,
            siblings=siblings.get(states[roots[0]]["state_id"], []) if roots else [],
            traces=traces,
        )
        found.append(problem)
    return found


def explorer_data(
    view: SuiteView, known: Known, problems: Sequence[Problem], rows: Sequence[Row], left_out: Sequence[str]
) -> dict[str, Any]:
    """The embedded object of these problems and entries; `left_out` says in words what else there is."""
    order = np.array([row for problem in problems for row in problem.rows], dtype=np.int64)
    draws = known.truth.n[order]
    measured = (known.truth.mean[order], *truth_intervals(known.truth, order))
    mean, low, high = (np.where(draws > 0, figures, np.nan) for figures in measured)
    estimators, drawn = [], _drawn(rows)
    for row in rows:
        name = row.entry.metadata.name
        values = np.where(known.given[name], known.values[name], np.nan)[order]
        estimators.append(
            {
                "name": name,
                "title": visible(row.entry.metadata.title),
                "drawn": row in drawn,
                "v": _thousandths(values),
            }
        )
    return {
        "suite": {
            "policy": visible(view.results.info.suite.policy),
            "draws": [int(draws.min()), int(draws.max())] if len(draws) else [0, 0],
        },
        "left_out": list(left_out),
        "truth": {"v": _thousandths(mean), "low": _thousandths(low), "high": _thousandths(high)},
        "estimators": estimators,
        "problems": [_problem_data(problem) for problem in problems],
    }


def _drawn(rows: Sequence[Row]) -> list[Row]:
    """The lines of the first look: the best entry that looks ahead, the best that does not, and the group mean."""
    ahead = [row for row in rows if "extra_rollouts" in row.results.info.budget]
    group = [row for row in rows if row.results.info.estimator.name == "group_mean"]
    others = [row for row in rows if row not in ahead and row not in group]
    return [*ahead[:1], *others[:1], *group[:1]]


def _problem_data(problem: Problem) -> dict[str, Any]:
    return {
        "id": visible(problem.problem_id),
        "question": visible(problem.question),
        "answer": visible(problem.answer),
        "tier": visible(problem.tier),
        "group": _thousandths(np.array([problem.group_mean]))[0],
        "root": int(problem.root is not None),
        "others": [visible(text) for _, text in problem.siblings],
        "rollouts": [
            {
                "id": visible(trace.rollout_id),
                "steps": [
                    [step.index, visible(step.text), [visible(text) for _, text in step.siblings]]
                    for step in trace.steps
                ],
                "rest": visible(trace.rest),
                "return": _thousandths(np.array([trace.return_], dtype=np.float64))[0],
                "finish": visible(trace.finish),
            }
            for trace in problem.traces
        ],
    }


def _thousandths(values: FloatArray) -> list[int | None]:
    known = np.isfinite(values)
    limit = _LARGEST / 1000
    found = np.rint(np.clip(np.where(known, values, 0.0), -limit, limit) * 1000).astype(np.int64)
    return [value if there else None for value, there in zip(found.tolist(), known.tolist(), strict=True)]


def _added(before: str, text: str) -> str:
    """What `text` holds beyond `before`, which it mostly begins with: a cut inside a character may change its end."""
    if text.startswith(before):
        return text[len(before) :]
    same = next((i for i, (a, b) in enumerate(zip(before, text, strict=False)) if a != b), min(len(before), len(text)))
    return text[same:]
