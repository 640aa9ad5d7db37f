"""Which states an estimator has seen: a problem's states are shown in sets, from short to long.

A longer state of a response shows what the shorter one did next. So no set has a state that extends another, and a set
is shown only after all values of the set before it have been given. A state extends another if its tokens or its text
begin with those of the other: where texts were tokenised again (imported suites), the tokens of a beginning may not be
the beginning of the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sveb.contract.problem import Ints, Tokens
from sveb.harness.wire import WireError, harmless


def depths(states: Sequence[Tokens], texts: Sequence[str]) -> Ints:
    """For each state (n_states,) the length of the longest chain of states below it, each of which extends the last.

    A state that extends another has a larger depth. States with the same tokens have the same depth.
    """
    of_tokens = _extended([np.asarray(tokens, dtype="<i4").tobytes() for tokens in states])
    of_texts = _extended([text.encode() for text in texts])
    below = [[*some, *more] for some, more in zip(of_tokens, of_texts, strict=True)]
    found = np.zeros(len(states), dtype=np.int64)
    for _ in range(len(states)):  # each round makes one more link of every chain right
        longer = np.array(
            [1 + max((int(found[place]) for place in mine), default=-1) for mine in below], dtype=np.int64
        )
        if (longer == found).all():
            break
        found = longer
    return found


def _extended(keys: Sequence[bytes]) -> list[list[int]]:
    """For each key the places of the shorter keys that it begins with."""
    found: list[list[int]] = [[] for _ in keys]
    chain: list[tuple[bytes, list[int]]] = []  # the different beginnings of the current key, each with its places
    # In lexicographic order a key's extensions follow it, before anything else.
    for place in sorted(range(len(keys)), key=keys.__getitem__):
        while chain and not keys[place].startswith(chain[-1][0]):
            chain.pop()
        if chain and chain[-1][0] == keys[place]:
            chain[-1][1].append(place)
        else:
            chain.append((keys[place], [place]))
        found[place] = [each for _, places in chain[:-1] for each in places]
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
