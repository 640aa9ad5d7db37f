"""What an estimator may see of a suite: never the truth table, never the tokens or return of a probe rollout.

Problems, and the states of each problem, come in a seeded random order, so that neither order nor name says anything
about the suite. The states of a problem come in sets (`shown_states`).
"""

from __future__ import annotations

import json
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sveb.common.errors import SvebError
from sveb.common.seeds import rng
from sveb.contract.problem import Group, Ints, Tokens
from sveb.harness.shown_states import depths
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.suite.tables import ragged

_MOST_AT_ONCE = 64
_TOKENS_AT_ONCE = 2**17
_ROLE_OF_SPLIT = {"train": "train", "test": "context"}


class _Lists:
    """A list column of a table, row by row."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        flat, self._offsets = ragged(column)
        self._flat = flat.astype(np.int32, copy=False)

    def __getitem__(self, row: int) -> Tokens:
        return self._flat[self._offsets[row] : self._offsets[row + 1]]


def _rows_by(column: pa.ChunkedArray) -> dict[str, Ints]:
    """Row numbers of each value of a string column, in stored order."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    return {
        name: order[bounds[i] : bounds[i + 1]].astype(np.int64) for i, name in enumerate(encoded.dictionary.to_pylist())
    }


class Inputs:
    """Random access to a suite's inputs, by split and index in the shuffled order. Tables load at first use."""

    def __init__(self, suite: Suite, seed: int) -> None:
        self._suite = suite
        self.seed = seed
        self._problems = suite.table(
            "problems", ["problem_id", "split", "question", "answer", "prompt_token_ids", "tier", "extras"]
        )
        columns = ["state_id", "problem_id", "rollout_id", "kind", "step_index", "token_ids", "text"]
        self._states = suite.table("states", columns)
        ids = self._problems["problem_id"].to_pylist()
        splits = np.array(self._problems["split"].to_pylist())
        order = rng(seed, "problem order", suite.checksum).permutation(len(ids))
        self._rows = {split: order[splits[order] == split] for split in _ROLE_OF_SPLIT}
        self.problem_ids = {split: [ids[row] for row in rows] for split, rows in self._rows.items()}
        self._check_states()

    @cached_property
    def state_ids(self) -> list[str]:
        """All states, in the suite's order."""
        return [str(name) for name in self._states["state_id"].to_pylist()]

    @cached_property
    def state_rows(self) -> list[Ints]:
        """For each test problem, in the shuffled order: its states' rows in states.parquet, shuffled."""
        by_problem = _rows_by(self._states["problem_id"])
        empty = np.empty(0, np.int64)
        return [
            rng(self.seed, "state order", self._suite.checksum, name).permutation(by_problem.get(name, empty))
            for name in self.problem_ids["test"]
        ]

    @cached_property
    def state_sets(self) -> list[list[Ints]]:
        """For each test problem its `state_rows` in sets, from short states to long ones: no set extends a later one.

        Each set is in the shuffled order.
        """
        found, texts = [], self._state_columns[0]
        for rows in self.state_rows:
            depth = depths([self._state_tokens[row] for row in rows], [texts[row].as_py() for row in rows.tolist()])
            found.append([rows[depth == each] for each in range(depth.max() + 1)] if len(rows) else [])
        return found

    def question(self, split: str, index: int) -> str:
        return str(self._problems["question"][self._row(split, index)].as_py())

    def answer(self, split: str, index: int) -> str:
        return str(self._problems["answer"][self._row(split, index)].as_py())

    def record(self, split: str, index: int) -> ProblemRecord:
        """What a grader needs. It is never sent to an estimator."""
        row = self._row(split, index)
        tier, extras = (self._problems[name][row].as_py() for name in ("tier", "extras"))
        answer = self.answer(split, index)
        return ProblemRecord(
            self.problem_ids[split][index], self.question(split, index), answer, tier, json.loads(extras or "{}")
        )

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt of any problem."""
        return max(len(self._prompts[row]) for rows in self._rows.values() for row in rows)

    @cached_property
    def problems_at_once(self) -> int:
        """Test problems whose sets an estimator gets in one exchange: what it remembers of all of them must fit into
        memory. The suite as a whole decides, so that it says nothing about a problem.
        """
        longest = self.longest_prompt + max(len(self._state_tokens[row]) for rows in self.state_rows for row in rows)
        rollouts = self._suite.manifest.counts.get("group", 1)
        return max(1, min(_MOST_AT_ONCE, _TOKENS_AT_ONCE // max(1, rollouts * longest)))

    def prompt(self, split: str, index: int) -> Tokens:
        return self._prompts[self._row(split, index)]

    def problem_seed(self, split: str, index: int) -> int:
        """Depends only on the run's seed and the problem's name."""
        return int(rng(self.seed, "problem", self.problem_ids[split][index]).integers(2**63))

    def state_tokens(self, row: int) -> Tokens:
        return self._state_tokens[row]

    def states(self, rows: Ints) -> tuple[list[Tokens], list[str], npt.NDArray[np.int32], list[str]]:
        """Tokens, texts, step indices and kinds of the states with these rows."""
        texts, steps, kinds = self._state_columns
        tokens = [self._state_tokens[row] for row in rows]
        return tokens, [texts[row].as_py() for row in rows.tolist()], steps[rows], [kinds[row] for row in rows]

    def own_rollouts(self, index: int, rows: Ints) -> npt.NDArray[np.int32]:
        """For each of these states of a test problem the place in `rollouts` of the one that it was cut from, or -1.

        All are -1 under a protocol that cuts its states from rollouts that estimators do not see.
        """
        if not self._suite.protocol.own_rollout_visible:
            return np.full(len(rows), -1, dtype=np.int32)
        cut_from = self._states["rollout_id"].take(rows).to_pylist()
        table, *_ = self._rollouts("context")
        graded = table["rollout_id"].take(pa.array(self._graded("test", index))).to_pylist()
        places = {rollout_id: place for place, rollout_id in enumerate(graded)}
        return np.array([places.get(rollout_id, -1) for rollout_id in cut_from], dtype=np.int32)

    def rollouts(self, split: str, index: int) -> Group:
        """The graded context rollouts of a test problem, or training rollouts of a training problem."""
        table, _, tokens, ends = self._rollouts(_ROLE_OF_SPLIT[split])
        rows = self._graded(split, index)
        returns, texts = (table[name].take(pa.array(rows)) for name in ("return_", "text"))
        return Group(
            returns.to_numpy().astype(np.float64),
            texts.to_pylist(),
            [tokens[row] for row in rows],
            [ends[row] for row in rows],
        )

    def draws(self, row: int) -> tuple[npt.NDArray[np.float64], Ints]:
        """Returns (NaN where missing) and token counts of one state's pool, by draw index."""
        table, rows_by_state = self._draws
        rows = rows_by_state.get(self.state_ids[row], np.empty(0, np.int64))
        taken = table.take(pa.array(rows)).sort_by("draw_index")
        return taken["return_"].to_numpy().astype(np.float64), taken["n_tokens"].to_numpy().astype(np.int64)

    @cached_property
    def _prompts(self) -> _Lists:
        return _Lists(self._problems["prompt_token_ids"])

    @cached_property
    def _state_tokens(self) -> _Lists:
        return _Lists(self._states["token_ids"])

    @cached_property
    def _state_columns(self) -> tuple[pa.Array, npt.NDArray[np.int32], list[str]]:
        """Texts, step indices and kinds of all states. Sets are small and many: to take them from the table is slow."""
        table = self._states
        steps = table["step_index"].to_numpy().astype(np.int32)
        return table["text"].combine_chunks(), steps, table["kind"].to_pylist()

    @cached_property
    def _draws(self) -> tuple[pa.Table, dict[str, Ints]]:
        table = self._suite.table("draws", ["state_id", "draw_index", "return_", "n_tokens"])
        return table, _rows_by(table["state_id"])

    def _graded(self, split: str, index: int) -> Ints:
        """Rows, among those of their role, of a problem's rollouts that have a return."""
        table, rows_by_problem, _, _ = self._rollouts(_ROLE_OF_SPLIT[split])
        rows = rows_by_problem.get(self.problem_ids[split][index], np.empty(0, np.int64))
        missing = np.isnan(table["return_"].take(pa.array(rows)).to_numpy())
        graded: Ints = rows[~missing]
        return graded

    @cache  # noqa: B019 - two roles at most, and the tables are needed as long as the run
    def _rollouts(self, role: str) -> tuple[pa.Table, dict[str, Ints], _Lists, _Lists]:
        columns = ["rollout_id", "problem_id", "token_ids", "text", "return_", "step_ends"]
        table = self._suite.table("rollouts", columns, [("role", "in", [role])])
        return table, _rows_by(table["problem_id"]), _Lists(table["token_ids"]), _Lists(table["step_ends"])

    def _row(self, split: str, index: int) -> int:
        return int(self._rows[split][index])

    def _check_states(self) -> None:
        names: dict[str, Any] = _rows_by(self._states["problem_id"])
        foreign = sorted(set(names) - set(self.problem_ids["test"]))
        if foreign:
            raise SvebError(
                f"{self._suite.path / 'states.parquet'}: states of {len(foreign)} problems that problems.parquet "
                f"does not list as test problems ({', '.join(foreign[:3])}): `sveb suite verify` shows more"
            )
        if not names:
            raise SvebError(f"{self._suite.path / 'states.parquet'} has no states: there is nothing to estimate")
