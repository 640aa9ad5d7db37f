"""What is found in an estimator's answers, and what to change: one `Check` each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sveb.contract.problem import Ints, Values
from sveb.harness.conformance.exam_session import Answer
from sveb.suite.suite import Suite

TOLERANCE = 1e-4  # far above float32's rounding when the policy reads other batches, far below what scores tell apart
_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """One line of the report. `unchecked`: it could not be checked, and `found` says why."""

    name: str
    outcome: Literal["ok", "failed", "unchecked"]
    found: str = ""
    fix: str = ""


# What each check asks, in the report's order, and what to change where the answer is no.
FIXES = {
    "runs": "",
    "right shape": "Return one number a state, in the order of problem.states; from predict_batch one array a problem.",
    "finite": "Where there is no evidence fall back to something known, such as problem.group.returns.mean().",
    "in [0, 1]": "",
    "deterministic": "Draw from self.rng in fit and problem.rng in predict; not from random, numpy's or torch's global "
    "generator, the time or id().",
    "same when asked again": "Keep nothing from one prediction to the next: no counters, running means or generators; "
    "draw from problem.rng.",
    "order of states": "Go by what a state holds (token_ids, text, step_index), not by its place or its id.",
    "order of problems": "Go by what a problem holds, not by its place or its id; draw from problem.rng.",
    "other problems": "Values come from the problem itself and what fit learned; predict_batch is for speed alone.",
    "later tokens": "problem.states shows longer prefixes of the same response: they are a state's future. Use its own "
    "tokens, and no length, count or order that comes from the others.",
    "returns of others": "Use the problem's own group; what is pooled over problems comes from training, in fit.",
    "pickles": "Keep what fit learned on self, in what pickle takes: no open connections, locks, lambdas or globals.",
    "inputs untouched": "Copy before you change: problem.group.returns.copy().",
    "files": "Write in self.workplace.scratch or tempfile's folder; elsewhere a submission's sandbox is read-only.",
    "constructor": "__init__ stores its arguments as they come; fit sets the rest, under names that end in _.",
}
_OVERSHOT = "Clip what overshoots: np.clip(values, 0, 1)."
_SCALED = "A value is an expected return, from 0 to 1: is this a percentage, a logit, a log-probability or a sum?"


class Verdicts:
    """Finds faults in passes over one suite, whose states it names. `asked` are the states of the first pass."""

    def __init__(self, suite: Suite, asked: Ints) -> None:
        columns = ("state_id", "kind", "step_index")
        self._states = [suite.table("states")[name].to_pylist() for name in columns]
        self.asked = asked

    def first(self, answer: Answer, misshapen: bool) -> dict[str, Check]:
        """What the first pass shows by itself; `misshapen` says that its error is about the shape."""
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
        """A failure, not a warning: the contract says [0, 1], and beyond it clipping always lowers the error."""
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
        """Whether a pass gave these states the values of the first one; `when` says how it differed from it."""
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
UNSTEADY = "the same question gets other values each time"


def failed(name: str, found: str) -> Check:
    """A check that failed, with what to change."""
    return Check(name, "failed", found, FIXES[name])


def unchecked(name: str, why: str) -> Check:
    """A check that could not be made."""
    return Check(name, "unchecked", why)


def listed(name: str, faults: tuple[str, ...]) -> Check:
    """A check that fails when there is any fault, and shows some."""
    if not faults:
        return Check(name, "ok")
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return failed(name, "; ".join(faults[:_SHOWN]) + more)
