"""The figures of all entries of a suite: the same as those of the commands, and bounded in number."""

from __future__ import annotations

import numpy as np
import pytest

from sveb.runs.figures import BEST, NEIGHBOURS
from sveb.score.board_figures import _chosen_pairs, board_figures
from sveb.score.bootstrap import resample
from sveb.score.compare import paired_differences
from sveb.score.rank_intervals import rank_values
from sveb.score.synthetic import simulate


def test_pairs_and_ranks_are_those_of_the_commands() -> None:
    simulated = simulate(0, problems=20)
    truth, rng = simulated.truth, np.random.default_rng(0)
    values = {f"e{i}": np.clip(simulated.value + rng.normal(0, 0.1 + 0.1 * i, len(truth.n)), 0, 1) for i in range(4)}
    given = {name: np.ones(len(truth.n), dtype=np.bool_) for name in values}
    board = board_figures(truth, values, given, None)
    ranking = rank_values(truth, values, resample(len(truth.problem_ids)))
    assert list(board.entries) == ranking.names
    assert [entry.rank.low for entry in board.entries.values() if entry.rank] == ranking.rank_low.tolist()
    assert [entry.rank.high for entry in board.entries.values() if entry.rank] == ranking.rank_high.tolist()
    assert len(board.pairs) == 6
    for pair in board.pairs:
        assert ranking.names.index(pair.a) < ranking.names.index(pair.b)
        for mine, theirs in zip(
            (pair.mse, pair.skill), paired_differences(truth, values[pair.a], values[pair.b]), strict=True
        ):
            assert [mine.value, mine.low, mine.high] == pytest.approx([theirs.value, theirs.low, theirs.high], abs=1e-9)
    # turned round, a difference has the other sign and its ends change places
    mse, _ = paired_differences(truth, values[board.pairs[0].b], values[board.pairs[0].a])
    first = board.pairs[0].mse
    assert [-first.value, -first.high, -first.low] == pytest.approx([mse.value, mse.low, mse.high], abs=1e-9)


def test_of_many_entries_the_best_the_neighbours_and_the_group_mean_are_paired() -> None:
    names = [f"e{i}" for i in range(1000)]
    pairs = {(a, b) for a, others in _chosen_pairs(names, "e900") for b in others}
    assert ("e0", f"e{BEST - 1}") in pairs
    assert ("e0", f"e{BEST}") not in pairs
    assert (f"e{600}", f"e{600 + NEIGHBOURS}") in pairs
    assert (f"e{600}", f"e{601 + NEIGHBOURS}") not in pairs
    assert {("e0", "e900"), ("e900", "e999")} <= pairs
    assert len(pairs) < BEST * (BEST - 1) / 2 + 10 * len(names)


def test_without_path_states_there_is_no_rank_and_no_pair() -> None:
    truth = simulate(0, problems=3).truth
    roots = type(truth)(**{**vars(truth), "kind": np.full(len(truth.n), "root")})
    values = {name: np.full(len(truth.n), 0.5) for name in ("a", "b")}
    given = {name: np.ones(len(truth.n), dtype=np.bool_) for name in values}
    board = board_figures(roots, values, given, None)
    assert (board.problem_ids, board.pairs, board.no_skill) == ([], [], None)
    assert [(entry.rank, entry.errors) for entry in board.entries.values()] == [(None, [])] * 2
