"""What an estimator is given: problems, their states, their rollouts, and sampled continuations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class State:
    """A prefix of a response whose value is asked for.

    `token_ids` (n_tokens,) are the response's tokens so far, without the prompt; `text` is their decoding.
    `kind` is "root" (no response tokens yet), "path" or "sibling"; "sampled" for a state that sampling led to.
    `step_index` counts the finished steps. `id` says nothing about the suite's order. `own_rollout` is the index in
    `problem.group` of the rollout that the state was cut from. It is None where that rollout is hidden from the
    estimator, which is so unless the suite's protocol shows it.
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

    `returns` (G,) in [0, 1]. `texts`, `token_ids` and `step_ends` have one entry per rollout; `step_ends` are the token
    offsets at which its steps end. A rollout that could not be graded is not in the group.
    """

    returns: Values
    texts: list[str]
    token_ids: list[Tokens]
    step_ends: list[Tokens]

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, rows: Sequence[int]) -> Group:
        """The rollouts at these places."""
        return Group(
            self.returns[list(rows)],
            [self.texts[i] for i in rows],
            [self.token_ids[i] for i in rows],
            [self.step_ends[i] for i in rows],
        )


class Problem:
    """One problem, with one set of its states.

    `predict` gets a problem several times, first with its shortest states: no state of a set extends another one, and
    the next set is shown only after this one has its values. `group` and `answer` are fetched at first use, and the run
    records that they were. They, `rng` and what was remembered are the same for all sets.

    The training problems that `fit` gets have no states.
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
        self._remembered: dict[Hashable, Any] = {}

    @property
    def group(self) -> Group:
        """The rollouts with their returns (information budget: `group`, or `train_returns` in training)."""
        return self.remember((Problem, "group"), self._fetch_group)

    @property
    def answer(self) -> str:
        """The reference answer (information budget: `gold_answer`)."""
        return self.remember((Problem, "answer"), self._fetch_answer)

    @property
    def rng(self) -> np.random.Generator:
        """A generator that depends only on the run's seed and this problem. It goes on from one set to the next."""
        return self.remember((Problem, "rng"), lambda: np.random.default_rng(self._seed))

    def remember(self, name: Hashable, make: Callable[[], T]) -> T:
        """`make()` at the first call with this name, the same object at later ones, also in the problem's later sets.

        Use it for what would otherwise be computed again for each set, and to keep what the shorter states showed.
        """
        if name not in self._remembered:
            self._remembered[name] = make()
        found: T = self._remembered[name]
        return found

    def with_states(self, states: Sequence[State]) -> Problem:
        """The same problem with other states. Group, answer, rng and what was remembered are shared."""
        other = copy(self)
        other.states = states
        return other

    def __repr__(self) -> str:
        return f"Problem({self.id!r}, {len(self.states)} states)"


@dataclass(frozen=True, eq=False)
class Continuation:
    """What the policy wrote after a state.

    `token_ids` (n,) are the sampled tokens; `text` is the whole response so far, the state's text included. A
    `finished` response has a `return_` in [0, 1], NaN if it could not be graded; an unfinished one has NaN.
    `after_step` is the state after the first sampled step, of kind "sampled", or None where the response ended within
    that step. The policy can read this state as any other, but it cannot be continued.
    """

    token_ids: Tokens
    text: str
    return_: float
    finished: bool
    after_step: State | None
