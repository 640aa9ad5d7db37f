"""The process of an estimator under examination: as the worker, but with several passes, and watched.

`python -m sveb.harness.conformance.subject FD`. An error ends a pass, not the process.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.harness.conformance.input_watch import WatchedProblems, Writes
from sveb.harness.conformance.sklearn_contract import LENT, constructor_faults, fit_faults
from sveb.harness.estimator_faults import Code, ShapeError, describe
from sveb.harness.policy_client import PolicyClient
from sveb.harness.wire import Channel
from sveb.harness.worker import identity_of, load, main, predict, workplace

_MOST = 5  # reported faults of one kind
_LONGEST = 2000  # an exception may hold all of an array's text


def serve(channel: Channel) -> None:
    """Obeys `fit`, `predict` (by the estimator itself, or by an unpickled copy of the fitted one) and `facts`."""
    job = channel.receive().body
    code = Code(Path(job["path"]), job["shown"]) if job.get("path") else Code()
    writes = Writes(Path(job.get("scratch", Path.cwd())))
    try:
        estimator = load(job, code)
        channel.send("loaded", identity_of(estimator, job))
    except (Exception, SystemExit) as error:
        channel.send("failed", _fault(error, code))
        return
    subject = _Subject(channel, estimator, job, code)
    while (command := channel.receive()).op != "end":
        if command.op == "facts":
            channel.send("facts", subject.facts() | {"writes": writes.found[:_MOST]})
            continue
        place: dict[str, int] = {}
        try:
            if command.op == "fit":
                subject.fit(command.body["problems"])
            else:
                subject.predict(command.body["problems"], command.body["at_once"], command.body["copy"], place)
            channel.send("done")
        except (Exception, SystemExit) as error:
            channel.send("failed", _fault(error, code) | place | {"misshapen": isinstance(error, ShapeError)})


class _Subject:
    def __init__(self, channel: Channel, estimator: Estimator, job: dict[str, Any], code: Code) -> None:
        self._channel, self._job, self._code = channel, job, code
        self._lent = PolicyClient(channel), workplace(channel, job)
        self._estimator = self._equipped(estimator)
        self._contract = constructor_faults(estimator)
        self._changed: list[str] = []
        self._pickled = b""
        self._unpicklable = ""

    def fit(self, problems: int) -> None:
        """Fits, if the estimator defines `fit`, then pickles."""
        estimator = self._estimator
        if type(estimator).fit is not Estimator.fit:
            before = set(vars(estimator)), estimator.get_params()
            train = WatchedProblems(self._channel, "train", problems)
            estimator._rng = np.random.default_rng(self._job["seed"])
            estimator.fit(train)
            self._changed += train.changes()
            self._contract += fit_faults(estimator, *before)
        try:
            self._pickled = pickle.dumps(estimator)
            pickle.loads(self._pickled)
        except Exception as error:
            self._pickled, self._unpicklable = b"", f"{_unpicklable(estimator)}{error}"

    def predict(self, problems: int, at_once: int, copy: bool, place: dict[str, int]) -> None:
        """One pass over the test problems."""
        estimator = self._equipped(pickle.loads(self._pickled)) if copy else self._estimator
        estimator._rng = np.random.default_rng(self._job["seed"])
        test = WatchedProblems(self._channel, "test", problems)
        predict(self._channel, estimator, test, at_once, self._code, place)
        self._changed += test.changes()

    def facts(self) -> dict[str, Any]:
        return {
            "contract": [fault[:_LONGEST] for fault in self._contract[:_MOST]],
            "changed": self._changed[:_MOST],
            "unpicklable": self._unpicklable[:_LONGEST],
        }

    def _equipped(self, estimator: Estimator) -> Estimator:
        estimator._policy, estimator._workplace = self._lent
        return estimator


def _fault(error: BaseException, code: Code) -> dict[str, Any]:
    fault = describe(error, code)
    return fault | {"message": fault["message"][:_LONGEST]}


def _unpicklable(estimator: Estimator) -> str:
    """`self.name: ` of the first attribute that cannot be pickled, or nothing if each can."""
    for name in sorted(set(vars(estimator)) - LENT):
        try:
            pickle.dumps(vars(estimator)[name])
        except Exception:
            return f"self.{name}: "
    return ""


if __name__ == "__main__":
    main(int(sys.argv[1]), serve)
