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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sveb.runs.figures import TrueValues
from sveb.runs.predictions import Predictions
from sveb.site.site_data import Row, SuiteView
from sveb.site.visible import visible
from sveb.suite.suite import Suite

_LARGEST = 10**6  # thousandths; an estimator may say anything


@dataclass(frozen=True)
class Step:
    """A path state: its row in the true values, the text since the state before, its siblings as (row, text)."""

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
class TracedProblem:
    """A problem with its traces. `root` is the root's row in the true values, None where it has none."""

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
        """Rows in the true values, in the order of the embedded lists."""
        found = [] if self.root is None else [self.root]
        found += [row for row, _ in self.siblings]
        for step in (step for trace in self.traces for step in trace.steps):
            found += [step.row, *(row for row, _ in step.siblings)]
        return found


def read_problems(suite: Suite, truth: TrueValues) -> list[TracedProblem]:
    """All problems with states of `truth` along a response, by id."""
    columns = ["state_id", "problem_id", "rollout_id", "kind", "step_index", "text", "parent_state_id"]
    by_state = {state["state_id"]: state for state in suite.table("states", columns).to_pylist()}
    states = [by_state[state_id] for state_id in truth.state_ids]
    by_kind: dict[str, dict[str, list[int]]] = {"root": {}, "path": {}}
    siblings: dict[str, list[tuple[int, str]]] = {}
    for row, state in enumerate(states):
        if state["kind"] == "sibling":
            before = by_state.get(state["parent_state_id"], {}).get("text") or ""
            siblings.setdefault(state["parent_state_id"], []).append((row, _added(before, state["text"] or "")))
        else:
            by_kind[state["kind"]].setdefault(state["problem_id"], []).append(row)
    columns = ["rollout_id", "text", "return_", "finish_reason"]
    cut = suite.table("rollouts", columns, [("role", "=", suite.protocol.cut_from)]).to_pylist()
    rollouts = {rollout["rollout_id"]: rollout for rollout in cut}
    facts = suite.table("problems", ["problem_id", "question", "answer", "tier"]).to_pylist()
    by_problem = {fact["problem_id"]: fact for fact in facts}

    found = []
    for problem_id, paths in sorted(by_kind["path"].items()):
        roots = by_kind["root"].get(problem_id, [])
        fact = by_problem.get(problem_id, {})
        by_rollout: dict[str, list[int]] = {}
        for row in sorted(paths, key=lambda row: (_step_index(states[row]), row)):
            by_rollout.setdefault(states[row]["rollout_id"], []).append(row)
        traces = []
        for rollout_id, rows in sorted(by_rollout.items()):
            steps, before = [], ""
            for row in rows:
                text, alternatives = states[row]["text"] or "", siblings.get(states[row]["state_id"], [])
                steps.append(Step(row, _step_index(states[row]), _added(before, text), alternatives))
                before = text
            rollout = rollouts.get(rollout_id, {})
            rest = _added(before, rollout["text"]) if rollout.get("text") else ""
            traces.append(Trace(rollout_id, steps, rest, rollout.get("return_"), rollout.get("finish_reason") or ""))
        problem = TracedProblem(
            problem_id=problem_id,
            question=fact.get("question") or "",
            answer=fact.get("answer") or "",
            tier=fact.get("tier") or "",
            group_mean=truth.group_means[problem_id],
            root=roots[0] if roots else None,
            siblings=siblings.get(states[roots[0]]["state_id"], []) if roots else [],
            traces=traces,
        )
        found.append(problem)
    return found


def read_values(row: Row, key: str) -> dict[str, float]:
    """An entry's predictions on a suite, by state; of several seeds, those of the first."""
    predictions = Predictions.read(row.entry.folder / "predictions" / f"{key}.parquet")
    return dict(zip(predictions.state_ids, predictions.values.tolist(), strict=True))


def explorer_data(
    view: SuiteView,
    truth: TrueValues,
    problems: Sequence[TracedProblem],
    rows: Sequence[Row],
    values: Mapping[str, Mapping[str, float]],
    left_out: Sequence[str],
) -> dict[str, Any]:
    """The embedded object of these problems and entries; `left_out` says in words what else there is.

    `values` holds predictions by the entries' names and by state; a state without one has no value.
    """
    order = [row for problem in problems for row in problem.rows]
    returns = [truth.returns[row] for row in order]
    drawn = _drawn(rows)
    estimators = []
    for row in rows:
        mine = values[row.entry.metadata.name]
        estimators.append(
            {
                "name": row.entry.metadata.name,
                "title": visible(row.entry.metadata.title),
                "drawn": row in drawn,
                "v": [_thousandths(mine.get(truth.state_ids[i])) for i in order],
            }
        )
    return {
        "suite": {
            "policy": visible(view.results.info.suite.policy),
            "draws": [min(returns, default=0), max(returns, default=0)],
        },
        "left_out": list(left_out),
        "truth": {
            name: [_thousandths(of_states[i]) for i in order]
            for name, of_states in (("v", truth.mean), ("low", truth.low), ("high", truth.high))
        },
        "estimators": estimators,
        "problems": [_problem_data(problem) for problem in problems],
    }


def _drawn(rows: Sequence[Row]) -> list[Row]:
    """The lines of the first look: the best entry that looks ahead, the best that does not, and the group mean."""
    ahead = [row for row in rows if "extra_rollouts" in row.results.info.budget]
    group = [row for row in rows if row.results.info.estimator.name == "group_mean"]
    others = [row for row in rows if row not in ahead and row not in group]
    return [*ahead[:1], *others[:1], *group[:1]]


def _problem_data(problem: TracedProblem) -> dict[str, Any]:
    return {
        "id": visible(problem.problem_id),
        "question": visible(problem.question),
        "answer": visible(problem.answer),
        "tier": visible(problem.tier),
        "group": _thousandths(problem.group_mean),
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
                "return": _thousandths(trace.return_),
                "finish": visible(trace.finish),
            }
            for trace in problem.traces
        ],
    }


def _thousandths(value: float | None) -> int | None:
    if value is None or not math.isfinite(value):
        return None
    return round(max(-_LARGEST, min(_LARGEST, value * 1000)))


def _step_index(state: Mapping[str, Any]) -> int:
    return -1 if state["step_index"] is None else int(state["step_index"])


def _added(before: str, text: str) -> str:
    """What `text` holds beyond `before`, which it mostly begins with: a cut inside a character may change its end."""
    if text.startswith(before):
        return text[len(before) :]
    same = next((i for i, (a, b) in enumerate(zip(before, text, strict=False)) if a != b), min(len(before), len(text)))
    return text[same:]
