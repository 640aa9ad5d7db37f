"""The estimator's contract: what a submission inherits from.

from sveb import Estimator, Problem

class MyEstimator(Estimator):
    "One line that the leaderboard shows."

    def predict(self, problem: Problem):
        return [problem.group.returns.mean()] * len(problem.states)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError, unknown_name
from sveb.contract.policy_access import PolicyAccess
from sveb.contract.problem import Problem


@dataclass(frozen=True)
class Workplace:
    """What the harness gives to an estimator's process besides its inputs.

    `scratch` is a folder to write in. Relative paths of the user start from `home`. `progress(done, total)` shows how
    far `fit` has come.
    """

    scratch: Path
    home: Path
    progress: Callable[[int, int], None]


class Estimator:
    """Base class of all estimators. It follows scikit-learn's conventions.

    `__init__` only stores its arguments, each under its own name; `fit` sets attributes that end in `_`. The harness
    sets `policy`, `rng` and `workplace` before it calls `fit` and `predict`.
    """

    _policy: PolicyAccess | None = None
    _rng: np.random.Generator | None = None
    _workplace: Workplace | None = None

    def fit(self, train: Sequence[Problem]) -> object:  # noqa: ARG002
        """Learns from the training problems. It may be left out; its result is ignored."""
        return self

    def predict(self, problem: Problem) -> npt.ArrayLike:
        """Values (n_states,) in [0, 1] of `problem.states`, in their order.

        Called once for each set of a problem's states, from short states to long ones: see `Problem`.
        """
        if type(self).predict_batch is Estimator.predict_batch:
            raise NotImplementedError(f"{type(self).__name__} defines no predict(self, problem)")
        return self.predict_batch([problem])[0]

    def predict_batch(self, problems: Sequence[Problem]) -> Sequence[npt.ArrayLike]:
        """Values of several problems, one array each. Override it instead of `predict` if a batch is faster.

        All problems of a batch are at the same set of their states: the first, the second and so on. A value must not
        depend on the other problems of the batch: draw from `problem.rng`, not from `self.rng`.
        """
        return [self.predict(problem) for problem in problems]

    @property
    def policy(self) -> PolicyAccess:
        """The policy: hidden states, log-probabilities and continuations. Every call is metered."""
        if self._policy is None:
            raise SvebError("self.policy is set by the harness: use it in fit and predict, not in __init__")
        return self._policy

    @property
    def rng(self) -> np.random.Generator:
        """Seeded by the harness. In `predict` it depends only on the problem, not on the order of problems."""
        if self._rng is None:
            raise SvebError("self.rng is set by the harness: use it in fit and predict, not in __init__")
        return self._rng

    @property
    def workplace(self) -> Workplace:
        """Where to write, and how to show progress.

        What `fit` leaves in `workplace.scratch` is there again if a killed run is started once more, and it is kept
        with the predictions of a run that ends. That of a confined estimator is deleted with its process.
        """
        if self._workplace is None:
            raise SvebError("self.workplace is set by the harness: use it in fit and predict, not in __init__")
        return self._workplace

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        if cls.__init__ is object.__init__:
            return {}
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise SvebError(
                    f"{cls.__name__}.__init__ takes {parameter}: name every argument, so that get_params can list them"
                )
        return {parameter.name: parameter for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The constructor's arguments as stored. `deep` is there for scikit-learn; parameters are never nested here."""
        try:
            return {name: getattr(self, name) for name in self._parameters()}
        except AttributeError as error:
            raise SvebError(
                f"{type(self).__name__}.__init__ must store each argument under its own name: {error}"
            ) from None

    def set_params(self, **params: Any) -> Self:
        """Changes constructor arguments. The error for a misspelt one names the closest valid ones."""
        for name, value in params.items():
            if name not in self._parameters():
                raise unknown_name(f"parameter of {type(self).__name__}", name, self._parameters())
            setattr(self, name, value)
        return self

    def clone(self) -> Self:
        """An unfitted copy with the same parameters."""
        return type(self)(**self.get_params())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def __getstate__(self) -> dict[str, Any]:
        # The policy is a live connection to the harness: it cannot be pickled.
        lent = ("_policy", "_rng", "_workplace")
        return {name: value for name, value in self.__dict__.items() if name not in lent}
