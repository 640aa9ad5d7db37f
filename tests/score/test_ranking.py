"""Ranks: intervals, ties, what would separate two, and that all intervals hold at once near ties."""

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.score.arrays import sum_by
from sveb.score.bootstrap import resample
from sveb.score.rank_intervals import rank, rank_sums, rank_values
from sveb.score.synthetic import simulate
from tests.support.suites import of_rows, predict


def sums(*columns):
    """One state a problem: squared errors are the columns."""
    errors = np.array(columns).T
    return rank_sums([str(i) for i in range(len(columns))], errors, np.ones(len(errors)), resample(len(errors)))


def spread(mean, seed, problems=100, scale=0.02):
    noise = np.random.default_rng(seed).normal(0, scale, problems)
    return mean + noise - noise.mean()


def test_entries_far_apart_have_one_rank_each():
    ranking = sums(spread(0.01, 0), spread(0.1, 1), spread(0.2, 2))
    assert ranking.rank_low.tolist() == ranking.rank_high.tolist() == [1, 2, 3]
    assert ranking.tie_group.tolist() == [1, 2, 3]
    assert ranking.separated.tolist() == [[False, True, True], [True, False, True], [True, True, False]]
    assert ranking.needed("0", "1") < 10


def test_equal_predictions_share_all_ranks_and_no_number_of_problems_separates_them():
    same = spread(0.01, 0)
    ranking = sums(same, same, spread(0.2, 2))
    assert ranking.rank_low.tolist() == [1, 1, 3]
    assert ranking.rank_high.tolist() == [2, 2, 3]
    assert ranking.tie_group.tolist() == [1, 1, 2]
    assert (ranking.low[0, 1], ranking.high[0, 1]) == (0.0, 0.0)
    assert np.isnan(ranking.needed("0", "1"))


def test_a_chain_of_ties_is_one_group_though_its_ends_are_separated():
    ranking = sums(spread(0.100, 0), spread(0.104, 1), spread(0.108, 2))
    assert ranking.separated[0, 2]
    assert not ranking.separated[0, 1]
    assert not ranking.separated[1, 2]
    assert ranking.tie_group.tolist() == [1, 1, 1]
    assert ranking.rank_low.tolist() == [1, 1, 2]
    assert ranking.rank_high.tolist() == [2, 3, 3]


def test_intervals_turn_their_sign_with_the_pair_and_are_wider_for_more_entries():
    columns = [spread(0.1 + 0.001 * i, i) for i in range(6)]
    two, six = sums(*columns[:2]), sums(*columns)
    np.testing.assert_allclose(six.low, -six.high.T)
    assert six.high[0, 1] - six.low[0, 1] > 1.2 * (two.high[0, 1] - two.low[0, 1])


def test_as_many_problems_as_needed_separate_the_two_about_as_often_as_said():
    """40 problems do not separate the pair; many times as many, drawn anew, do so in about 80 % of tries."""
    rng = np.random.default_rng(4)
    mean, scale = 0.01, 0.05
    errors = np.array([np.zeros(40), rng.normal(0, 1, 40)]).T
    errors[:, 1] = mean + scale * (errors[:, 1] - errors[:, 1].mean()) / errors[:, 1].std()
    ranking = rank_sums(["a", "b"], errors, np.ones(40), resample(40))
    needed = int(ranking.needed("a", "b"))
    assert not ranking.separated[0, 1]
    assert needed == pytest.approx(40 * ((2.05 + 0.84) * scale / 40**0.5 / mean) ** 2, rel=0.06)
    resamples = resample(needed, replicates=500)
    tries = [
        rank_sums(
            ["a", "b"], np.array([np.zeros(needed), rng.normal(mean, scale, needed)]).T, np.ones(needed), resamples
        ).separated[0, 1]
        for _ in range(200)
    ]
    assert 0.70 < np.mean(tries) < 0.92


def test_near_ties_all_ranks_lie_in_their_intervals_at_once_where_marginal_bootstrap_ranks_do_not():
    known = np.array([0.02, 0.02, 0.02, 0.021, 0.021, 0.03])
    best, worst = (1 + (known[None] < known[:, None]).sum(1), (known[None] <= known[:, None]).sum(1))
    problems, replications = 60, 150
    resamples = resample(problems, replicates=500)
    joint = marginal = 0
    for i in range(replications):
        sim, rng = simulate(i, problems=problems, rollouts=1, k=8), np.random.default_rng(i)
        truth = sim.truth
        noise = [rng.laplace(0, (mse / 4) ** 0.5, problems)[truth.problem] for mse in known]
        values = {
            str(j): sim.value + shared + rng.normal(0, (known[j] / 2) ** 0.5, len(sim.value))
            for j, shared in enumerate(noise)
        }
        ranking = rank_values(truth, values, resamples)
        entry = [int(name) for name in ranking.names]
        joint += ((ranking.rank_low <= best[entry]) & (worst[entry] <= ranking.rank_high)).all()
        rows = truth.rows("path")
        errors = [
            sum_by(truth.problem[rows], problems, (values[n][rows] - truth.mean[rows]) ** 2) for n in ranking.names
        ]
        drawn = resamples.counts[1:501].astype(float) @ np.array(errors).T
        low, high = np.quantile(drawn.argsort(axis=1).argsort(axis=1) + 1, [0.025, 0.975], axis=0, method="nearest")
        marginal += ((low <= best[entry]) & (worst[entry] <= high)).all()
    assert joint / replications >= 0.93
    assert marginal / replications < 0.7


def test_one_problem_separates_nothing():
    ranking = sums(np.array([0.1]), np.array([0.9]))
    assert not ranking.separated.any()
    assert ranking.rank_high.tolist() == [2, 2]


def test_files_are_ranked_and_a_suite_without_path_states_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    states = [(f"{p}", f"{p}", f"r{p}", "path", 1, None, [float(p % 2)] * 8) for p in range(30)]
    suite = of_rows(tmp_path / "s", states, {str(p): [0.0, 1.0] for p in range(30)})
    ids = [s[0] for s in states]
    right = np.array([p % 2 for p in range(30)], dtype=float)
    files = {
        "guess": predict(tmp_path / "g.parquet", suite, ids, rng.uniform(size=30)),
        "oracle": predict(tmp_path / "o.parquet", suite, ids, 0.9 * right + 0.05),
    }
    ranking = rank(suite, files)
    assert ranking.names == ["oracle", "guess"]
    assert ranking.tie_group.tolist() == [1, 2]
    roots = of_rows(tmp_path / "r", [("a", "p", None, "root", 0, None, [1.0, 0.0])], {"p": [1.0]})
    path = predict(tmp_path / "a.parquet", roots, ["a"], [0.5])
    with pytest.raises(SvebError, match="no path states"):
        rank(roots, {"a": path})
