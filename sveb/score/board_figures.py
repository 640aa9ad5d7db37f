"""The figures of all entries of a suite together: joint ranks, errors on each problem, paired differences.

1000 entries have half a million pairs, which would take minutes and 150 MB. So only the paired differences that readers
need most are computed in advance: all pairs of the best BEST entries, each entry with the NEIGHBOURS next ones in rank,
and each entry with the group mean. For entries that are not among the best, that is at most 10 pairs per entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sveb.runs.figures import BEST, NEIGHBOURS, BoardFigures, Comparison, EntryFigures, JointRank, TrueValues
from sveb.score.arrays import BoolArray, FloatArray, count_by, sum_by
from sveb.score.bootstrap import resample
from sveb.score.compare import lacks_skill, paired_with_each
from sveb.score.rank_intervals import Ranking, rank_values
from sveb.score.state_errors import raw_errors, truth_intervals
from sveb.score.truth import Truth


def board_figures(
    truth: Truth, values: Mapping[str, FloatArray], given: Mapping[str, BoolArray], group_mean: str | None
) -> BoardFigures:
    """The figures of all entries.

    By name, `values` (n,) are finite and in the truth's order; `given` (n,) marks those that the entry itself gave.
    Both are (S, n) for an entry with S seeds.
    `group_mean` names the entry whose estimator is the built-in group_mean, if there is one.
    """
    rows, size = truth.rows("path"), len(truth.problem_ids)
    problem = truth.problem[rows]
    states = count_by(problem, size)
    shown = np.flatnonzero(states)
    resamples = resample(size)
    ranking = rank_values(truth, values, resamples) if values and len(rows) else None
    names = ranking.names if ranking else list(values)
    entries = {
        name: EntryFigures(
            missing=int((~np.atleast_2d(given[name])[:, rows]).any(axis=0).sum()),
            errors=(sum_by(problem, size, raw_errors(truth, values[name], rows)[0])[shown] / states[shown]).tolist(),
            rank=_joint_rank(ranking, place) if ranking else None,
        )
        for place, name in enumerate(names)
    }
    pairs = []
    for a, others in _chosen_pairs(names, group_mean) if ranking else ():
        differences = paired_with_each(truth, values[a], [values[b] for b in others], resamples)
        pairs += [Comparison(a, b, *each) for b, each in zip(others, differences, strict=True)]
    return BoardFigures(
        n_problems=size,
        problem_ids=[truth.problem_ids[p] for p in shown.tolist()],
        path_states=states[shown].tolist(),
        entries=entries,
        pairs=pairs,
        no_skill=lacks_skill(truth),
        truth=true_values(truth),
    )


def true_values(truth: Truth) -> TrueValues:
    """The true values of all states, with their intervals."""
    rows = np.arange(len(truth.state_ids))
    mean, low, high = (np.where(truth.n > 0, x, np.nan) for x in (truth.mean, *truth_intervals(truth, rows)))
    groups = dict(zip(truth.problem_ids, truth.group_mean.tolist(), strict=True))
    return TrueValues(truth.state_ids, mean.tolist(), low.tolist(), high.tolist(), truth.n.tolist(), groups)


def _chosen_pairs(names: Sequence[str], group_mean: str | None) -> Iterator[tuple[str, list[str]]]:
    """Each entry with the lower-ranked ones that it is compared with in advance; `names` best first."""
    for i, a in enumerate(names):
        others = [
            b
            for j, b in enumerate(names[i + 1 :], i + 1)
            if j < BEST or j - i <= NEIGHBOURS or group_mean in (a, b)
        ]  # fmt: skip
        if others:
            yield a, others


def _joint_rank(ranking: Ranking, i: int) -> JointRank:
    """The rank of entry `i`, and the nearest entry that it is not separated from."""
    tied = [j for j in np.flatnonzero(~ranking.separated[i]).tolist() if j != i]
    nearest = min(tied, key=lambda j: (abs(j - i), j), default=None)
    return JointRank(
        low=int(ranking.rank_low[i]),
        high=int(ranking.rank_high[i]),
        tie_group=int(ranking.tie_group[i]),
        tied=len(tied),
        nearest=None if nearest is None else ranking.names[nearest],
        problems_needed=float("nan") if nearest is None else float(ranking.problems_needed[i, nearest]),
    )
