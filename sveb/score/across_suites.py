"""What stays the same for entries when the suite changes: their ranks on each suite, among entries that are on all."""

from __future__ import annotations

from collections.abc import Mapping

from sveb.runs.figures import AcrossEntry, AcrossFigures
from sveb.score.arrays import FloatArray
from sveb.score.bootstrap import resample
from sveb.score.rank_intervals import Ranking, rank_values
from sveb.score.truth import Truth


def across_suites(suites: Mapping[str, tuple[Truth, Mapping[str, FloatArray]]]) -> AcrossFigures:
    """The figures of the entries that have values on every suite; of none if there are fewer than two suites.

    `suites` holds, by suite key, the truth and the values (n,) of entries by name, finite and in the truth's order.
    Suites without path states are left out: they rank nothing.
    """
    ranked = {key: pair for key, pair in suites.items() if len(pair[0].rows("path"))}
    shared = (
        [name for name in next(iter(ranked.values()))[1] if all(name in v for _, v in ranked.values())]
        if ranked
        else []
    )
    if len(ranked) < 2 or not shared:
        return AcrossFigures([], {})
    rankings = {
        key: rank_values(truth, {name: values[name] for name in shared}, resample(len(truth.problem_ids)))
        for key, (truth, values) in ranked.items()
    }
    return AcrossFigures(list(rankings), {name: _entry(name, rankings) for name in shared})


def _entry(name: str, rankings: Mapping[str, Ranking]) -> AcrossEntry:
    ranks = {}
    better: set[str] = set()  # than it on some suite
    worse: set[str] = set()
    for key, ranking in rankings.items():
        place = ranking.names.index(name)
        ranks[key] = [int(ranking.rank_low[place]), int(ranking.rank_high[place])]
        better |= {other for other, low in zip(ranking.names, ranking.low[place], strict=True) if low > 0}
        worse |= {other for other, high in zip(ranking.names, ranking.high[place], strict=True) if high < 0}
    keeps = max(low for low, _ in ranks.values()) <= min(high for _, high in ranks.values())
    return AcrossEntry(ranks, keeps, sorted(better & worse))
