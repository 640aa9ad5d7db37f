"""What the policy reads about states: once for a problem, whose states are shown and asked about set by set."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sveb.contract.problem import Floats
from sveb.harness.forward_passes import readable
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import Array

_RECENT_BYTES = 2**27


@dataclass(frozen=True)
class KnownState:
    """A state that the harness has shown: the index of its test problem, and its response tokens.

    `row` is its row in states.parquet, -1 for a state that sampling led to.
    """

    problem: int
    token_ids: Array
    row: int = -1


# From sequences (prompt + prefix), the lengths of their prompts and the indices of their problems to an array for each.
Read = Callable[[list[Array], list[int], list[int]], list[Floats]]


class Recent:
    """Arrays in memory, of at most `_RECENT_BYTES` together unless those used last alone are more."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[list[Array], int]] = {}  # with their bytes; the last used one last

    def get(self, key: Hashable, make: Callable[[], list[Array]]) -> list[Array]:
        """`make()`, or what it gave for this key before."""
        found = self._kept.pop(key) if key in self._kept else _sized(make())
        self._kept[key] = found
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > _RECENT_BYTES:
            del self._kept[next(iter(self._kept))]
        return found[0]

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()


class StateReadings:
    """What was read about the states of `inputs`, kept in `recent`."""

    def __init__(self, inputs: Inputs, recent: Recent) -> None:
        self._inputs = inputs
        self._recent = recent

    def of(self, kind: Hashable, states: Sequence[KnownState], read: Read) -> list[Floats]:
        """One array for each of these states. `kind` names what `read` reads.

        The first question about a problem reads all its states, also those that have not been shown: to read the
        longest states once is to read all, and to read set after set would read most tokens several times. Only what
        was asked for is given. A problem that is too large for that is read as asked.
        """
        places: dict[int, list[int]] = {}
        for place, state in enumerate(states):
            places.setdefault(state.problem if state.row >= 0 else -1, []).append(place)
        found: dict[int, Floats] = {}
        for problem, mine in places.items():
            asked = [states[place] for place in mine]
            rows = [] if problem < 0 else self._inputs.state_rows[problem].tolist()
            if rows and readable([self._inputs.state_tokens(row) for row in rows]):
                whole = self._recent.get((kind, problem), partial(self._read_all, problem, read))
                by_row = dict(zip(rows, whole, strict=True))
                arrays = [by_row[state.row] for state in asked]
            else:
                arrays = self._read(asked, read)
            found.update(zip(mine, arrays, strict=True))
        return [found[place] for place in range(len(states))]

    def _read_all(self, problem: int, read: Read) -> list[Floats]:
        rows = self._inputs.state_rows[problem].tolist()
        return self._read([KnownState(problem, self._inputs.state_tokens(row), row) for row in rows], read)

    def _read(self, states: Sequence[KnownState], read: Read) -> list[Floats]:
        prompts = [self._inputs.prompt("test", state.problem) for state in states]
        sequences = [np.concatenate([prompt, state.token_ids]) for prompt, state in zip(prompts, states, strict=True)]
        return read(sequences, [len(prompt) for prompt in prompts], [state.problem for state in states])


def _sized(arrays: list[Array]) -> tuple[list[Array], int]:
    """Arrays with their bytes; a part of another array counts as all of it, once."""
    whole = [array.base if isinstance(array.base, np.ndarray) else array for array in arrays]
    return arrays, sum({id(array): array.nbytes for array in whole}.values())
