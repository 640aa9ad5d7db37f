"""Which states an estimator has seen: a problem's states are shown in sets, from short to long.

A longer state of a response shows what the shorter one did next. So no set has a state that extends another, and a set
is shown only after all values of the set before it have been given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.contract.problem import Ints, Tokens
from sveb.harness.wire import WireError, harmless


def depths(states: Sequence[Tokens]) -> Ints:
    """For each state (n_states,) how many different states it strictly extends: the length of the chain below it.

    A state that extends another has a larger depth. States with the same tokens have the same depth.
    """
    listed = [tokens.tolist() for tokens in states]
    found = np.zeros(len(listed), dtype=np.int64)
    chain: list[list[int]] = []  # the different states that the current one extends, each of which extends the last
    # In lexicographic order a state's extensions follow it, before anything else.
    for place in sorted(range(len(listed)), key=listed.__getitem__):
        tokens = listed[place]
        while chain and tokens[: len(chain[-1])] != chain[-1]:
            chain.pop()
        if not chain or chain[-1] != tokens:
            chain.append(tokens)
        found[place] = len(chain) - 1
    return found


class ShownStates:
    """The sets of all problems, and how far each problem has been shown.

    `sets` holds for each problem its sets, each an array of rows in states.parquet. States are numbered from 0 in the
    order in which they are shown, so that no number says how many states are still to come: `row_of_number` and
    `problem_of_number` say which ones they are.
    """

    def __init__(self, sets: Sequence[Sequence[Ints]]) -> None:
        self._sets = sets
        self._answered = [0] * len(sets)  # sets with values, by problem
        self._waiting: dict[int, Ints] = {}  # the set that has been shown and has no values yet, by problem
        self.n_finished = sum(not each for each in sets)  # problems all of whose states have values
        self.n_answered = 0  # states that have values
        self.row_of_number: list[int] = []
        self.problem_of_number: list[int] = []

    def show(self, index: int) -> Ints:
        """Rows of a problem's next set, which get the next numbers; none if all have been shown.

        Raises WireError if there is no such problem, or if the set before has no values yet.
        """
        if not 0 <= index < len(self._sets):
            raise WireError(f"states of problem {harmless(index)}, which is unknown")
        if index in self._waiting:
            raise WireError(f"states of problem {index}: it must first give the values of those that it has")
        if self._answered[index] == len(self._sets[index]):
            return np.empty(0, np.int64)
        rows = self._sets[index][self._answered[index]]
        self._waiting[index] = rows
        self.row_of_number += rows.tolist()
        self.problem_of_number += [index] * len(rows)
        return rows

    def answered(self, index: int) -> Ints:
        """Rows of the set of a problem that waits for values, which it now has. Raises WireError if none waits."""
        if index not in self._waiting:
            raise WireError(f"values of problem {harmless(index)}, which is unknown or waits for none")
        rows = self._waiting.pop(index)
        self._answered[index] += 1
        self.n_answered += len(rows)
        self.n_finished += self._answered[index] == len(self._sets[index])
        return rows
