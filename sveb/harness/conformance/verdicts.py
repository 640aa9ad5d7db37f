"""Judges an estimator's answers: for each check a `Check`, with what was found and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sveb.common.text import first_few
from sveb.contract.problem import Ints, Values
from sveb.harness.conformance.exam_session import Answer
from sveb.suite.suite import Suite

TOLERANCE = 1e-4  # far above the rounding of float32 in other batches, far below differences that scores show
_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """One line of the report. `unchecked` means that the check could not be made; `found` says why."""

    name: str
    outcome: Literal["ok", "failed", "unchecked"]
    found: str = ""
    fix: str = ""


# All checks in the order of the report, each with what to change if it fails.
FIXES = {
    "runs": "",
    "right shape": "Return one number per state, in the order of problem.states; from predict_batch one array per "
    "problem.",
    "finite": "Where there is no evidence, fall back to something known, such as problem.group.returns.mean().",
    "in [0, 1]": "",
    "deterministic": "Draw from self.rng in fit and problem.rng in predict; not from random, numpy's or torch's global "
    "generator, the time or id().",
    "same when asked again": "Keep nothing from one prediction to the next: no counters, running means or generators; "
    "draw from problem.rng.",
    "order of states": "Use what a state holds (token_ids, text, step_index), not its place in the list or its id.",
    "order of problems": "Use what a problem holds, not its place in the list or its id; draw from problem.rng.",
    "other problems": "Values must depend only on the problem itself and on what fit learned; predict_batch is only "
    "for speed.",
    "returns of others": "Use the problem's own group; what is pooled over problems must come from training "
    "problems, in fit.",
    "pickles": "Keep what fit learned on self, in objects that pickle can save: no open connections, locks, lambdas or "
    "globals.",
    "inputs untouched": "Copy an input before you change it: problem.group.returns.copy().",
    "files": "Write to self.workplace.scratch or to tempfile's folder; all else is read-only in the sandbox of "
    "submissions.",
    "constructor": "__init__ only stores its arguments, unchanged; fit sets the rest, under names that end in _.",
}
_OVERSHOT = "Clip the values: np.clip(values, 0, 1)."
_SCALED = "A value is an expected return, from 0 to 1: is this a percentage, a logit, a log-probability or a sum?"


class Verdicts:
    """Judges passes over one suite. `asked` are the rows of the states of the first pass."""

    def __init__(self, suite: Suite, asked: Ints) -> None:
        columns = ("state_id", "kind", "step_index")
        self._states = [suite.table("states")[name].to_pylist() for name in columns]
        self.asked = asked

    def first(self, answer: Answer, misshapen: bool) -> dict[str, Check]:
        """The checks that need the first pass only. `misshapen` says that its error is about the shape."""
        if answer.error and misshapen:
            return {"runs": Check("runs", "ok"), "right shape": failed("right shape", answer.error)}
        if answer.error:
            return {"runs": failed("runs", answer.error)}
        fine = [Check(name, "ok") for name in ("runs", "right shape")]
        return {check.name: check for check in [*fine, self._finite(answer.values), self._in_range(answer.values)]}

    def _finite(self, values: Values) -> Check:
        missing = self.asked[~np.isfinite(values[self.asked])]
        if not len(missing):
            return Check("finite", "ok")
        row = missing[0]
        return failed("finite", f"{values[row]} for {self._name(row)}; {len(missing)} of {len(self.asked)} states")

    def _in_range(self, values: Values) -> Check:
        """A failure, not a warning: the contract says [0, 1], and clipping to it always lowers the error."""
        name = "in [0, 1]"
        given = self.asked[np.isfinite(values[self.asked])]
        beyond = np.abs(values[given] - np.clip(values[given], 0.0, 1.0))
        if not len(given) or beyond.max() <= TOLERANCE:
            return Check(name, "ok")
        row = given[int(np.argmax(beyond))]
        found = (
            f"{values[row]:.4g} for {self._name(row)}; {int((beyond > TOLERANCE).sum())} of {len(given)} states, all "
            f"values from {values[given].min():.4g} to {values[given].max():.4g}"
        )
        return Check(name, "failed", found, _OVERSHOT if beyond.max() < 0.5 else _SCALED)

    def agree(self, name: str, first: Values, other: Answer, rows: Ints, when: str) -> Check:
        """Whether a pass gave these states the same values as the first pass; `when` says how the pass differed."""
        if other.error:
            return failed(name, f"an error {when}: {other.error}")
        a, b = first[rows], other.values[rows]
        same = np.isclose(a, b, rtol=0.0, atol=TOLERANCE, equal_nan=True)
        if same.all():
            return Check(name, "ok")
        worst = int(np.argmax(np.where(same, -1.0, np.nan_to_num(np.abs(a - b), nan=np.inf))))
        found = (
            f"{a[worst]:.4g} for {self._name(rows[worst])}, but {b[worst]:.4g} {when}; {int((~same).sum())} of "
            f"{len(rows)} states differ"
        )
        return failed(name, found)

    def _name(self, row: int) -> str:
        state, kind, step = (column[row] for column in self._states)
        return f"{state} ({kind}, step {step})"


NO_VALUES = "it gave no values"
UNSTEADY = "the same question gets different values each time"


def failed(name: str, found: str) -> Check:
    """A check that failed, with what to change."""
    return Check(name, "failed", found, FIXES[name])


def unchecked(name: str, why: str) -> Check:
    """A check that could not be made."""
    return Check(name, "unchecked", why)


def listed(name: str, faults: tuple[str, ...]) -> Check:
    """A check that fails if there is any fault, and shows the first ones."""
    if not faults:
        return Check(name, "ok")
    return failed(name, first_few(faults, _SHOWN, "; "))
