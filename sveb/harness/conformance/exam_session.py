"""The harness's side of an examination: one process of the estimator, which predicts several views of a tiny suite."""

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
    """The result of one pass: values in the suite's order of states, NaN for states not asked for; or an error."""

    values: Values
    error: str = ""


@dataclass(frozen=True)
class Facts:
    """What the estimator's process observed of itself: faults in words, and paths that it wrote."""

    contract: tuple[str, ...]
    changed: tuple[str, ...]
    unpicklable: str
    writes: tuple[str, ...]


class Exam(Session):
    """A `Session` whose process goes on after an error, and whose inputs may change between passes."""

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
        self.misshapen = False  # whether the latest error is about the shape of what predict returned
        self.touched: set[str] = set()  # items of the information budget
        if lender is not None:
            self._borrow(lender.broker)

    @contextmanager
    def started(self) -> Iterator[None]:
        """Starts the process and loads the estimator. Raises SvebError if that fails, as `run` does."""
        with self._worker() as self._process:
            with self._readable_errors():
                self._process.channel.send("job", self._job(self._process))
                identity(self._until("loaded", "load", self._process))
            yield

    def fit(self) -> str:
        """Fits and pickles; returns what went wrong, or an empty text."""
        return self._error("fit")

    def predict(self, view: View, copy: bool = False) -> Answer:
        """One pass over a view, by the estimator or by an unpickled copy of the fitted one."""
        policy = self.broker
        self.inputs = ViewInputs(self.suite, self.seed, view)
        self.broker = Broker(self.suite, self.inputs, confined=self.confined is not None)
        self._borrow(policy)
        self.problem_ids = list(view.problems)
        self.values = np.full(len(self.inputs.state_ids), np.nan)
        error = self._error("predict", {"copy": copy})
        return Answer(self.values, error)

    def facts(self) -> Facts:
        """What the process has observed so far."""
        with self._readable_errors():
            self._process.channel.send("facts")
            body = self._until("facts", "facts", self._process).body
        listed = {name: _texts(body.get(name)) for name in ("contract", "changed", "writes")}
        return Facts(unpicklable=clean(str(body.get("unpicklable")), _MOST_TEXT), **listed)

    def _borrow(self, lender: Broker) -> None:
        """Shares loaded policies: they are loaded once for all views and processes."""
        self.broker.forward, self.broker.live = lender.forward, lender.live

    def _error(self, command: str, body: dict[str, Any] | None = None) -> str:
        try:
            with self._readable_errors():
                self._process.channel.send(command, self._task(command) | (body or {}))
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
    def _readable_errors(self) -> Iterator[None]:
        """Turns the death of the process, or a malformed message, into an error for the user."""
        try:
            yield
        except ClosedError:
            raise self._process.death() from None
        except WireError as error:
            raise SvebError(f"the estimator's process broke the harness's protocol: {error}") from None


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SvebError("the estimator's process broke the harness's protocol: its facts are malformed")
    return tuple(clean(str(each), _MOST_TEXT) for each in value)
