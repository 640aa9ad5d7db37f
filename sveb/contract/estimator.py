"""The estimator's contract: what a submission inherits from and what it is given.

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
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError, unknown_name

if TYPE_CHECKING:
    from sveb.harness.policy_client import PolicyAccess

Tokens = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Workplace:
    """What the harness lends an estimator's process beside its inputs.

    `scratch` is its folder, `home` the one that its user's relative paths start from; `progress` shows (done, total).
    """

    scratch: Path
    home: Path
    progress: Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class State:
    """A prefix of a response whose value is asked for.

    `token_ids` (n_tokens,) are the response's tokens so far, without the prompt; `text` is their decoding.
    `kind` is "root" (nothing said yet), "path" or "sibling". `step_index` counts the finished steps.
    `id` is opaque: it tells nothing of the suite's order. `own_rollout` is the place in `problem.group` of the rollout
    that the state was cut from: known under protocol "paper" alone, None where that rollout is hidden, as it should be.
    """

    id: str
    token_ids: Tokens
    text: str
    n_tokens: int
    step_index: int
    kind: str
    own_rollout: int | None = None


@dataclass(frozen=True, eq=False)
class Group:
    """The rollouts of one problem: its context rollouts, or the training rollouts of a training problem.

    `returns` (G,) in [0, 1]; `texts`, `token_ids` and `step_ends` hold one entry a rollout, `step_ends` being the
    token offsets at which its steps end. A rollout that could not be graded is not in the group.
    """

    returns: Values
    texts: list[str]
    token_ids: list[Tokens]
    step_ends: list[Tokens]

    def __len__(self) -> int:
        return len(self.texts)


class Problem:
    """One problem. `group` and `answer` are fetched when first touched, and that is recorded.

    Training problems, which `fit` gets, have no states.
    """

    def __init__(
        self,
        id: str,
        question: str,
        prompt_token_ids: Tokens,
        states: Sequence[State],
        seed: int,
        fetch_group: Callable[[], Group],
        fetch_answer: Callable[[], str],
    ) -> None:
        self.id = id
        self.question = question
        self.prompt_token_ids = prompt_token_ids
        self.states = states
        self._seed = seed
        self._fetch_group = fetch_group
        self._fetch_answer = fetch_answer

    @cached_property
    def group(self) -> Group:
        """The rollouts with their returns (information budget: `group`, or `train_returns` in training)."""
        return self._fetch_group()

    @cached_property
    def answer(self) -> str:
        """The reference answer (information budget: `gold_answer`)."""
        return self._fetch_answer()

    @cached_property
    def rng(self) -> np.random.Generator:
        """A generator that depends on the run's seed and this problem alone."""
        return np.random.default_rng(self._seed)

    def __repr__(self) -> str:
        return f"Problem({self.id!r}, {len(self.states)} states)"


class Estimator:
    """Base class of all estimators, in scikit-learn's contract.

    `__init__` only stores its arguments, each under its own name; `fit` sets attributes that end in `_`. The
    harness sets `policy`, `rng` and `workplace` before it calls `fit` and `predict`.
    """

    _policy: PolicyAccess | None = None
    _rng: np.random.Generator | None = None
    _workplace: Workplace | None = None

    def fit(self, train: Sequence[Problem]) -> object:  # noqa: ARG002
        """Learns from the training problems; may be left out. Its result is ignored."""
        return self

    def predict(self, problem: Problem) -> npt.ArrayLike:
        """Values (n_states,) in [0, 1] of `problem.states`, in their order."""
        raise NotImplementedError(f"{type(self).__name__} defines no predict(self, problem)")

    def predict_batch(self, problems: Sequence[Problem]) -> Sequence[npt.ArrayLike]:
        """Values of several problems, one array each; override it where a batch is faster.

        A value must not depend on the other problems of the batch: draw from `problem.rng`, not `self.rng`.
        """
        return [self.predict(problem) for problem in problems]

    @property
    def policy(self) -> PolicyAccess:
        """The policy: hidden states, log-probabilities and draws, metered."""
        if self._policy is None:
            raise SvebError("self.policy is set by the harness: it is there in fit and predict, not in __init__")
        return self._policy

    @property
    def rng(self) -> np.random.Generator:
        """Seeded by the harness; in `predict` it depends on the problem alone, not on the order of problems."""
        if self._rng is None:
            raise SvebError("self.rng is set by the harness: it is there in fit and predict, not in __init__")
        return self._rng

    @property
    def workplace(self) -> Workplace:
        """Where to write, and how to show how far `fit` has come.

        What `fit` leaves in `workplace.scratch` is there again if the same run is started once more after it was
        killed, and is kept beside the predictions of a run that ends. A confined estimator's is gone with its process.
        """
        if self._workplace is None:
            raise SvebError("self.workplace is set by the harness: it is there in fit and predict, not in __init__")
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
        """The constructor's arguments as stored. `deep` is scikit-learn's; parameters are never nested here."""
        try:
            return {name: getattr(self, name) for name in self._parameters()}
        except AttributeError as error:
            raise SvebError(
                f"{type(self).__name__}.__init__ must store each argument under its own name: {error}"
            ) from None

    def set_params(self, **params: Any) -> Self:
        """Changes constructor arguments; a misspelt one gets the closest valid names."""
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
        # The policy is a live connection to the harness: a pickled estimator leaves it behind.
        lent = ("_policy", "_rng", "_workplace")
        return {name: value for name, value in self.__dict__.items() if name not in lent}
