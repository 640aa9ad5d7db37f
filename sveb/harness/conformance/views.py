"""The tiny suite that estimators are checked on, and views of it under which a state's value must not change.

The suite is a part of the embedded one, so its text is the real policy's. It has problems with mixed returns, each with
a root, the path states of some probes, siblings and draws. It has no truth table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sveb.contract.problem import Group, Ints
from sveb.harness.visible_inputs import Inputs
from sveb.suite.suite import EMBEDDED_DIR, EMBEDDED_SUITE, Suite
from sveb.suite.tables import table_of, write_table

_TEST, _TRAIN, _GROUP, _PROBES, _LEAST_STEPS = 5, 12, 8, 2, 3
_FIRST_STEPS = 3  # of a probe, whose states are there; of the later ones only the last, because there are eight passes


@dataclass(frozen=True, eq=False)
class View:
    """What one pass of predictions sees.

    `problems` are test problems, in order; `rows` are the rows in states.parquet of each one's states, in order. The
    context returns r of the problems in `turned` are shown as 1 - r.
    """

    problems: tuple[str, ...]
    rows: Mapping[str, Ints]
    turned: frozenset[str] = frozenset()


class ViewInputs(Inputs):
    """A suite's inputs, as a view shows them. Training problems do not change."""

    def __init__(self, suite: Suite, seed: int, view: View) -> None:
        super().__init__(suite, seed)
        place = dict(zip(self.problem_ids["test"], self._rows["test"], strict=True))
        self._rows["test"] = np.array([place[name] for name in view.problems])
        self.problem_ids["test"] = list(view.problems)
        self.state_rows = [view.rows[name] for name in view.problems]
        self._turned = view.turned

    def rollouts(self, split: str, index: int) -> Group:
        found = super().rollouts(split, index)
        if self.problem_ids[split][index] not in self._turned:
            return found
        return replace(found, returns=1.0 - found.returns)


def base_view(inputs: Inputs) -> View:
    """All of a suite, as the harness shows it."""
    names = inputs.problem_ids["test"]
    return View(tuple(names), dict(zip(names, inputs.state_rows, strict=True)))


def states_reversed(view: View) -> View:
    return replace(view, rows={name: rows[::-1] for name, rows in view.rows.items()})


def problems_reversed(view: View) -> View:
    return replace(view, problems=view.problems[::-1])


def every_other(view: View) -> View:
    """Only the second, fourth ... problem."""
    return replace(view, problems=view.problems[1::2])


def returns_turned(view: View) -> View:
    """All problems; the first, third ... have other returns, which must not change the values of the rest."""
    return replace(view, turned=frozenset(view.problems[::2]))


def tiny_suite(folder: Path) -> Suite:
    """Writes the suite that estimators are checked on to `folder`; the same at every call."""
    for name, table in _tables().items():
        write_table(folder / f"{name}.parquet", table)
    manifest = Suite.open(EMBEDDED_DIR / EMBEDDED_SUITE).manifest
    replace(manifest, name="conformance", files={}, statistics={}, generation={}).write(folder)
    return Suite.open(folder)


@cache
def _tables() -> dict[str, pa.Table]:
    """Its tables, cut out of the embedded suite."""
    whole = Suite.open(EMBEDDED_DIR / EMBEDDED_SUITE)
    problems = whole.table("problems").to_pylist()
    rollouts = whole.table("rollouts", filters=[("role", "in", ["context", "train"])]).to_pylist()
    groups: dict[str, list[dict[str, Any]]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout["problem_id"], []).append(rollout)
    states: dict[str, list[dict[str, Any]]] = {}
    for state in whole.table("states").to_pylist():
        states.setdefault(state["problem_id"], []).append(state)
    chosen: dict[str, list[dict[str, Any]]] = {"test": [], "train": []}
    for problem in problems:
        name, split = problem["problem_id"], problem["split"]
        groups[name] = groups[name][:_GROUP]
        if split == "test":
            states[name] = _of_some_probes(states[name])
        telling = _is_mixed(groups[name]) and (split == "train" or _is_rich(states[name]))
        if telling and len(chosen[split]) < {"test": _TEST, "train": _TRAIN}[split]:
            chosen[split].append(problem)
    kept = [*chosen["test"], *chosen["train"]]
    asked = [state for problem in chosen["test"] for state in states[str(problem["problem_id"])]]
    names = [state["state_id"] for state in asked]
    return {
        "problems": table_of("problems", kept),
        "rollouts": table_of(
            "rollouts", [rollout for problem in kept for rollout in groups[str(problem["problem_id"])]]
        ),
        "states": table_of("states", asked),
        "draws": whole.table("draws", filters=[("state_id", "in", names)]),
    }


def _of_some_probes(states: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The root, and of the first probes the first states, with the siblings among them, and the last one."""
    path = [state for state in states if state["kind"] == "path"]
    probes = sorted({state["rollout_id"] for state in path})[:_PROBES]
    last = {state["rollout_id"]: state["state_id"] for state in sorted(path, key=lambda state: state["step_index"])}
    return [
        state
        for state in states
        if state["kind"] == "root"
        or (
            state["rollout_id"] in probes
            and (state["step_index"] <= _FIRST_STEPS or state["state_id"] == last[state["rollout_id"]])
        )
    ]


def _is_mixed(group: Sequence[dict[str, Any]]) -> bool:
    return len({rollout["return_"] for rollout in group}) > 1


def _is_rich(states: Sequence[dict[str, Any]]) -> bool:
    kinds = [state["kind"] for state in states]
    steps = {state["step_index"] for state in states if state["kind"] == "path"}
    return {"root", "path", "sibling"} <= set(kinds) and len(steps) >= _LEAST_STEPS
