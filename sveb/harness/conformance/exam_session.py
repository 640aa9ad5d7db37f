"""The harness's side of an examination: one process of the estimator, asked for several views of the tiny suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.problem import Values
from sveb.harness.conformance.views import View, ViewInputs
from sveb.harness.policy_server import Broker
from sveb.harness.run_estimator import Session, Target
from sveb.harness.untrusted_identity import identity
from sveb.harness.wire import ClosedError, Message, WireError
from sveb.sandbox.foreign_output import clean
from sveb.sandbox.limits import Limits
from sveb.suite.suite import Suite

_MOST_TEXT = 500


@dataclass(frozen=True, eq=False)
class Answer:
    """A pass: values in the suite's order of states, NaN for those that were not asked for; or what went wrong."""

    values: Values
    error: str = ""


@dataclass(frozen=True)
class Facts:
    """What the estimator's process saw itself do: faults in words, and paths."""

    contract: tuple[str, ...]
    changed: tuple[str, ...]
    unpicklable: str
    writes: tuple[str, ...]


class Exam(Session):
    """A `Session` whose process lives on after an error, and which may change what it shows."""

    module = "sveb.harness.conformance.subject"

    def __init__(
        self,
        suite: Suite,
        target: Target,
        params: dict[str, Any],
        seed: int,
        confined: bool,
        lender: Exam | None = None,
    ) -> None:
        super().__init__(suite, target, params, seed, None, Limits() if confined else None, None)
        self.misshapen = False  # whether the latest error is about the shape of what predict gave
        self.touched: set[str] = set()  # items of the information budget
        if lender is not None:
            self._borrow(lender.broker)

    @contextmanager
    def started(self) -> Iterator[None]:
        """Starts the process and loads the estimator. Raises SvebError when that fails, as `run` does."""
        with self._worker() as self._process:
            with self._told():
                self._process.channel.send("job", self._job(self._process))
                identity(self._until("loaded", "load", self._process))
            yield

    def fit(self) -> str:
        """Fits and pickles; gives what went wrong, or nothing."""
        return self._error("fit", {"problems": len(self.inputs.problem_ids["train"])})

    def predict(self, view: View, copy: bool = False) -> Answer:
        """One pass over a view, by the estimator or by an unpickled copy of the fitted one."""
        policy = self.broker
        self.inputs = ViewInputs(self.suite, self.seed, view)
        self.broker = Broker(self.suite, self.inputs, confined=self.confined is not None)
        self._borrow(policy)
        self.problem_ids, self.values = list(view.problems), {}
        error = self._error("predict", {"problems": len(view.problems), "copy": copy})
        values = np.full(len(self.inputs.state_ids), np.nan)
        if not error:
            for index, rows in enumerate(self.inputs.state_rows):
                values[rows] = self.values[index]
        return Answer(values, error)

    def facts(self) -> Facts:
        """What there is to tell so far."""
        with self._told():
            self._process.channel.send("tell")
            body = self._until("told", "tell", self._process).body
        listed = {name: _texts(body.get(name)) for name in ("contract", "changed", "writes")}
        return Facts(unpicklable=clean(str(body.get("unpicklable")), _MOST_TEXT), **listed)

    def _borrow(self, lender: Broker) -> None:
        """Policies are loaded once for all views and processes."""
        self.broker.forward, self.broker.live = lender.forward, lender.live

    def _error(self, command: str, body: dict[str, Any]) -> str:
        try:
            with self._told():
                self._process.channel.send(command, body)
                self._until("done", command, self._process)
        except SvebError as error:
            return str(error)
        finally:
            self.touched.update(self.broker.budget)
        return ""

    def _failure(self, message: Message) -> Exception:
        self.misshapen = message.body.get("misshapen") is True
        return super()._failure(message)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A death or nonsense of the process as what the user reads."""
        try:
            yield
        except ClosedError:
            raise self._process.death() from None
        except WireError as error:
            raise SvebError(f"the estimator's process broke the harness's protocol: {error}") from None


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SvebError("the estimator's process broke the harness's protocol: it does not tell what it saw")
    return tuple(clean(str(each), _MOST_TEXT) for each in value)
