"""The examination: what an estimator is asked, and the report on its answers.

There are two processes: one predicts all views of the tiny suite, the other predicts the first view again. Each view is
predicted by an unpickled copy of the fitted estimator, so that what a prediction leaves on it cannot change the next.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.problem import Ints
from sveb.harness.conformance import views
from sveb.harness.conformance.exam_session import Answer, Exam
from sveb.harness.conformance.verdicts import FIXES, NO_VALUES, UNSTEADY, Check, Verdicts, failed, listed, unchecked
from sveb.harness.conformance.views import View
from sveb.harness.run_estimator import Target, resolve
from sveb.runs.predictions import BUDGET_ITEMS

_SEED = 0


@dataclass(frozen=True)
class CheckReport:
    """All checks of one estimator in the order of `FIXES`, and what it asked for in fit and predict."""

    spec: str
    checks: tuple[Check, ...]
    budget: tuple[str, ...]
    n_problems: int
    n_states: int

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [check.name for check in self.checks if check.outcome == "failed"]


def check(spec: str, params: Mapping[str, Any], sandbox: bool | None = None) -> CheckReport:
    """Examines an estimator (`numca`, `my.py` or `my.py:Class`) with these constructor arguments.

    `sandbox` confines its process; by default this is done for files under a folder named submissions. Raises SvebError
    if the estimator cannot be loaded or the sandbox cannot be set up.
    """
    target = resolve(spec)
    confined = target.submitted if sandbox is None else sandbox
    with tempfile.TemporaryDirectory(prefix="sveb-check-") as folder:
        suite = views.tiny_suite(Path(folder))
        exam = Exam(suite, target, dict(params), _SEED, confined)
        again = Exam(suite, target, dict(params), _SEED, confined, lender=exam)
        base = views.base_view(exam.inputs)
        verdicts = Verdicts(suite, np.concatenate([base.rows[name] for name in base.problems]))
        before = _neighbours(target)
        with contextlib.closing(exam.broker):
            answer, checks = _one_process(exam, base, verdicts)
            if not answer.error:
                with again.started():
                    other = _fitted(again, base)
                when = "in a second process with the same seed"
                checks["deterministic"] = verdicts.agree("deterministic", answer.values, other, verdicts.asked, when)
    written = [f"{path.name} was written next to the estimator" for path in _changed(before, _neighbours(target))]
    if written and checks["files"].outcome != "failed":
        checks["files"] = listed("files", tuple(written))
    return CheckReport(
        spec=spec,
        checks=tuple(checks.get(name, unchecked(name, NO_VALUES)) for name in FIXES),
        budget=tuple(item for item in BUDGET_ITEMS if item in exam.touched),
        n_problems=len(base.problems),
        n_states=len(verdicts.asked),
    )


def _one_process(exam: Exam, base: View, verdicts: Verdicts) -> tuple[Answer, dict[str, Check]]:
    """The first pass, and all checks that need one process only."""
    with exam.started():
        answer = _fitted(exam, base)
        checks = verdicts.first(answer, exam.misshapen)
        if not answer.error:
            checks |= _comparisons(exam, base, answer, verdicts)
        try:
            facts = exam.facts()
        except SvebError as error:
            gone = ("inputs untouched", "files", "constructor", "pickles")
            return answer, checks | {name: unchecked(name, str(error)) for name in gone}
    checks["inputs untouched"] = listed("inputs untouched", facts.changed)
    checks["files"] = listed("files", tuple(f"it wrote {path}" for path in facts.writes))
    checks["constructor"] = listed("constructor", facts.contract)
    if facts.unpicklable:
        checks["pickles"] = failed("pickles", facts.unpicklable)
    return answer, checks


def _fitted(exam: Exam, base: View) -> Answer:
    """Fits, and predicts the first view."""
    error = exam.fit()
    return Answer(np.empty(0), error) if error else exam.predict(base)


def _comparisons(exam: Exam, base: View, first: Answer, verdicts: Verdicts) -> dict[str, Check]:
    """Compares every other view with the first one."""
    again = exam.predict(base)
    repeats = verdicts.agree("same when asked again", first.values, again, verdicts.asked, "when asked again")
    copied = exam.predict(base, copy=True)
    pickles = verdicts.agree("pickles", first.values, copied, verdicts.asked, "by an unpickled copy")
    found = {check.name: check for check in (repeats, pickles)}
    steady = "ok" in (repeats.outcome, pickles.outcome)
    if not steady:
        found["pickles"] = unchecked("pickles", UNSTEADY)
    for name, view, rows, when in _views(base):
        if not steady:
            found[name] = unchecked(name, UNSTEADY)
        elif name not in found or found[name].outcome == "ok":
            other = exam.predict(view, copy=pickles.outcome == "ok")
            found[name] = verdicts.agree(name, first.values, other, rows, when)
    return found


def _views(base: View) -> Iterator[tuple[str, View, Ints, str]]:
    """Name of the check, view, the states whose values must not change, and how the view differs."""

    def all_of(view: View) -> Ints:
        return np.concatenate([view.rows[name] for name in view.problems if name not in view.turned])

    for name, view, when in (
        ("order of states", views.states_reversed(base), "with the states in reverse order"),
        ("order of problems", views.problems_reversed(base), "with the problems in reverse order"),
        ("other problems", views.every_other(base), "with every other problem left out"),
        ("returns of others", views.returns_turned(base), "with 1 - r for the returns of the other problems"),
    ):
        yield name, view, all_of(view), when


def _neighbours(target: Target) -> dict[Path, tuple[int, int]]:
    """Files in the estimator's own folder. What compiled libraries write there, its process cannot observe."""
    if target.file is None:
        return {}
    found = {}
    for path in target.file.parent.iterdir():
        with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
            if path.is_file() and not path.name.startswith("."):
                found[path] = path.stat().st_mtime_ns, path.stat().st_size
    return found


def _changed(before: Mapping[Path, Any], after: Mapping[Path, Any]) -> list[Path]:
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
