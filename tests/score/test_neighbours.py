"""Three defects of published value benchmarks, and what is done here instead.

Each was found in the figures of a paper that ranks value estimates: one constant prediction turned the mean over tasks
into NaN; a sign agreement of .96 stood next to a rank correlation of -.395; and a correlation of .326 had p = .001 from
states that were counted as independent, while its interval over tasks held 0.
"""

import numpy as np
import pytest
from scipy.stats import ConstantInputWarning, spearmanr

from sveb.score.bootstrap import resample
from sveb.score.score import evaluate
from sveb.score.synthetic import simulate
from tests.support.known_values import truth_of


def scores(truth, values, replicates=500):
    values = np.asarray(values, dtype=float)
    return evaluate(truth, values, np.ones(len(values), dtype=bool), resample(len(truth.problem_ids), replicates))


def test_a_prediction_that_is_constant_in_a_problem_counts_0_there_instead_of_undoing_the_mean():
    truth = truth_of([0, 0, 0, 1, 1, 1], [[0, 0], [1, 0], [1, 1]] * 2)
    values = np.array([0.5, 0.5, 0.5, 0.1, 0.2, 0.3])
    with pytest.warns(ConstantInputWarning):
        naive = np.mean([spearmanr(values[i : i + 3], truth.mean[i : i + 3]).statistic for i in (0, 3)])
    assert np.isnan(naive)
    got = scores(truth, values)
    assert got["spearman_within"].value == 0.5
    assert np.isfinite([got["spearman_within"].low, got["spearman_within"].high]).all()
    assert not [
        name for name, e in scores(truth, np.full(6, 0.5)).items() if name.startswith("spearman") and np.isnan(e.value)
    ]


def test_agreement_in_order_cannot_stand_beside_a_negative_correlation():
    """Being on the right side of a threshold for nearly all states is no order: here only orders are scored."""
    rng = np.random.default_rng(0)
    truth = truth_of(
        list(np.repeat(range(40), 5)),
        [rng.permutation([1.0] * k + [0.0] * (256 - k)) for k in (192, 136, 248, 164, 220)] * 40,
    )
    values = 1.5 - truth.mean  # above one half wherever the truth is, and in reverse order
    assert np.mean(np.sign(values - 0.5) == np.sign(truth.mean - 0.5)) == 1.0
    got = scores(truth, values)
    assert got["spearman"].high < 0
    for name in ("order_steps", "order_within", "order_soft"):
        assert got[name].high < 0.5, name
    assert got["order_gap"].high < 0


def test_states_of_a_problem_are_not_counted_as_independent():
    """A signal that is shared by all states of a problem: plain p-values find it in noise most of the time."""
    naive, clustered, replications = 0, 0, 60
    for seed in range(replications):
        truth = simulate(seed, problems=12, rollouts=8, k=32).truth
        values = np.random.default_rng(seed).normal(size=12)[truth.problem] + 1e-3 * np.arange(len(truth.n)) % 7
        path = truth.rows("path")
        naive += spearmanr(values[path], truth.mean[path]).pvalue < 0.05
        rho = scores(truth, values)["spearman"]
        clustered += not rho.low <= 0 <= rho.high
    assert naive / replications > 0.5
    assert clustered / replications < 0.15
