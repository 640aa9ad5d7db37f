"""The plan of a generation: counts, presets, and the seed of every continuation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError, unknown_name
from sveb.common.seeds import SPACE, seeds
from sveb.policies.policy import Sampling
from sveb.suite.protocol import STANDARD, Protocol

Allocation = Literal["fixed", "adaptive"]


@dataclass(frozen=True)
class Counts:
    """How many of everything a suite has.

    test_problems, train_problems; group: context rollouts of a test problem (G); train_group: rollouts of a training
    problem; probes: probe rollouts of a test problem (P); path_states: at most so many states per probe rollout;
    sibling_parents: path states of a test problem that get alternative next steps; siblings: alternatives sampled at
    each of them (M); continuations: returns behind each true value (K); draws: continuations of each state that
    estimators may buy; audit: continuations of each state that nobody may buy and that are not part of its true value.
    """

    test_problems: int
    train_problems: int
    group: int
    train_group: int
    probes: int
    path_states: int
    sibling_parents: int
    siblings: int
    continuations: int
    draws: int
    audit: int

    def __post_init__(self) -> None:
        least = {"probes": 0, "sibling_parents": 0, "siblings": 0, "train_problems": 0, "draws": 0, "audit": 0}
        for each in fields(self):
            value, minimum = getattr(self, each.name), least.get(each.name, 1)
            if value < minimum:
                raise SvebError(f"{each.name} is {value}: expected at least {minimum}")


PRESETS: dict[str, Counts] = {
    # About 150,000 tokens of the embedded policy: with evaluations and page, three minutes at 1000 tokens/s for each of
    # two cores.
    "demo": Counts(
        test_problems=16, train_problems=20, group=8, train_group=4, probes=2, path_states=4,
        sibling_parents=1, siblings=3, continuations=12, draws=4, audit=2,
    ),
    "standard": Counts(
        test_problems=110, train_problems=500, group=32, train_group=8, probes=3, path_states=16,
        sibling_parents=3, siblings=5, continuations=64, draws=16, audit=32,
    ),
    "full": Counts(
        test_problems=1000, train_problems=2000, group=32, train_group=32, probes=4, path_states=8,
        sibling_parents=4, siblings=5, continuations=256, draws=16, audit=16,
    ),
}  # fmt: skip


def find_allocation(name: str) -> Allocation:
    """The way of this name to allocate the truth continuations: fixed or adaptive."""
    for each in (known := get_args(Allocation)):
        if each == name:
            return each  # type: ignore[no-any-return]
    raise unknown_name("truth", name, known)


def counts_for(size: str, overrides: Mapping[str, int | None], protocol: Protocol = STANDARD) -> Counts:
    """A preset's counts under a protocol, with single ones replaced; `None` keeps the preset's."""
    if size not in PRESETS:
        raise unknown_name("size", size, PRESETS)
    asked = {name: value for name, value in overrides.items() if value is not None}
    return Counts(**protocol.counts(asdict(PRESETS[size]), asked))


class SeedLayout:
    """Numbers the continuations of a suite, so that `sveb.common.seeds` can give each its own seed.

    Each problem has a block of `stride` numbers, in this order: its rollouts (context then probe, or train), the
    alternatives of its sibling parents, and for each state K truth continuations and D draws. After the last block come
    the `pilots` rollouts that choose the problems, then the audit pools of all states. A number depends only on the ids
    and the counts, never on what else ran. `room` is the largest number of truth continuations of one state (None: K).
    The protocol says how many states a problem can have.
    """

    def __init__(
        self,
        counts: Counts,
        suite_seed: int,
        pilots: int = 0,
        room: int | None = None,
        protocol: Protocol = STANDARD,
    ) -> None:
        c = self.counts = counts
        self.suite_seed = suite_seed
        self._siblings = max(c.group + c.probes, c.train_group)
        self._states = self._siblings + c.sibling_parents * c.siblings
        self.room = c.continuations if room is None else room
        self._per_state = self.room + c.draws
        self._most_states = protocol.most_states(asdict(c))
        self.stride = self._states + self._most_states * self._per_state
        problems = c.test_problems + c.train_problems
        self._pilots = problems * self.stride
        self._audit = self._pilots + pilots
        audited = self._most_states * c.audit
        if self._audit + c.test_problems * audited > SPACE:
            each = self.stride + audited
            raise SvebError(
                f"{problems} problems x {each} continuations and {pilots} pilot rollouts exceed the 2^32 "
                f"distinct seeds of one suite: use at most {(SPACE - pilots) // each} problems, and put "
                "the others into further suites with other seeds"
            )

    def _seeds(self, problem: int, first: int, count: int) -> npt.NDArray[np.uint32]:
        start = problem * self.stride + first
        return seeds(self.suite_seed, np.arange(start, start + count))

    def rollouts(self, problem: int, first: int, count: int) -> npt.NDArray[np.uint32]:
        """Seeds of `count` rollouts of a problem, from the `first`; probes come after the context group."""
        return self._seeds(problem, first, count)

    def siblings(self, problem: int, parent: int) -> npt.NDArray[np.uint32]:
        """Seeds of the alternative steps at a problem's `parent`-th sibling parent."""
        return self._seeds(problem, self._siblings + parent * self.counts.siblings, self.counts.siblings)

    def truth(self, problem: int, state: int, count: int | None = None) -> npt.NDArray[np.uint32]:
        """Seeds of the first `count` (None: K; at most `room`) truth continuations of a problem's `state`-th state."""
        wanted = self.counts.continuations if count is None else count
        if wanted > self.room:
            raise ValueError(f"{wanted} continuations of one state: the layout has room for {self.room}")
        return self._seeds(problem, self._states + state * self._per_state, wanted)

    def draws(self, problem: int, state: int) -> npt.NDArray[np.uint32]:
        """Seeds of the D draw continuations of a problem's `state`-th state."""
        first = self._states + state * self._per_state + self.room
        return self._seeds(problem, first, self.counts.draws)

    def audit(self, problem: int, state: int) -> npt.NDArray[np.uint32]:
        """Seeds of the audit continuations of a test problem's `state`-th state."""
        first = self._audit + (problem * self._most_states + state) * self.counts.audit
        return self._seeds(0, first, self.counts.audit)

    def pilot(self, candidate: int, count: int) -> npt.NDArray[np.uint32]:
        """Seeds of the `count` pilot rollouts of the `candidate`-th candidate problem."""
        start = self._pilots + candidate * count
        return seeds(self.suite_seed, np.arange(start, start + count))


@dataclass(frozen=True)
class Plan:
    """Everything that decides the contents of a suite. Two runs with equal plans end with the same units."""

    name: str
    protocol: str
    task: dict[str, Any]
    policy: dict[str, Any]
    sampling: Sampling
    counts: Counts
    seed: int
    notes: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def differences(old: dict[str, Any], new: dict[str, Any], place: str = "") -> list[str]:
    """What differs between two plans, one line per setting: `counts.group: 16 in the folder, 32 asked for`."""
    found: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{place}{key}.")
        elif a != b:
            found.append(f"{place}{key}: {a!r} in the folder, {b!r} asked for")
    return found
