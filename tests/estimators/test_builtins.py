"""The built-in estimators: hand-computed values, and what the registry says of each against what was measured."""

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.estimators.registry import find
from sveb.estimators.shared.ridge import STRENGTHS, fit_ridge, moments, ridge_path, squared_error
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.suite.tables import table_of, write_table


def test_constant_is_the_mean_over_training_problems(suite, values) -> None:
    """Each training problem's returns are 0, 1, 0, 1."""
    assert set(values(suite, "constant").values()) == {0.5}


def test_constant_without_training_problems_says_so(build_suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="constant needs training problems"):
        run(build_suite(n_train=0), "constant", {}, tmp_path)


def test_group_mean_is_over_graded_context_rollouts(suite, values) -> None:
    """1, 0, 1, ungraded, 1."""
    assert set(values(suite, "group_mean").values()) == {0.75}


@pytest.mark.parametrize(("k", "expected"), [(1, 1.0), (2, 0.5), (3, 0.5), (4, 0.525)])
def test_mc_is_the_mean_of_the_first_k_graded_draws(suite, values, k, expected) -> None:
    """Draws are 1, 0, ungraded, .575."""
    assert list(values(suite, "mc", {"k": str(k)}).values()) == pytest.approx([expected] * 15)


def test_mc_of_ungraded_draws_alone_is_missing(suite, values) -> None:
    draws = suite.table("draws").to_pylist()
    for draw in draws:
        if draw["state_id"] == "test-000/root":
            draw["return_"] = None
    write_table(suite.path / "draws.parquet", table_of("draws", draws))
    found = values(suite, "mc", {"k": 4}, allow_missing=True)
    assert [name for name, value in found.items() if np.isnan(value)] == ["test-000/root"]


@pytest.mark.parametrize("name", ["constant", "group_mean", "numca", "mc"])
def test_the_registry_tells_what_was_asked_for(suite, tmp_path, name) -> None:
    info = Predictions.read(run(suite, name, {"k": 4} if name == "mc" else {}, tmp_path)).info
    assert tuple(info.budget) == find(name).budget
    assert (info.cost.tokens_sampled_per_state > 0) == (find(name).cost == "samples")
    assert info.cost.tokens_read_per_state == 0
    assert info.estimator.name == name


def test_ridge_from_moments_is_ridge_from_rows() -> None:
    """Against the normal equations on standardised features, at every strength."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 3)) * [1, 10, 0.1] + 5
    y = generator.random(40)
    standard = (x - x.mean(0)) / x.std(0)
    for strength, (coef, intercept) in zip(STRENGTHS, ridge_path(moments(x, y)), strict=True):
        direct = np.linalg.solve(standard.T @ standard + 40 * strength * np.eye(3), standard.T @ (y - y.mean()))
        np.testing.assert_allclose(x @ coef + intercept, standard @ direct + y.mean(), rtol=1e-6)
        error = ((x @ coef + intercept - y) ** 2).sum()
        assert squared_error(moments(x, y), coef, intercept) == pytest.approx(error, rel=1e-6)


def test_a_feature_that_never_moves_does_no_harm() -> None:
    x = np.column_stack([np.arange(10.0), np.full(10, 3.0)])
    coef, intercept = ridge_path(moments(x, np.arange(10.0) / 10))[0]
    np.testing.assert_allclose(x @ coef + intercept, np.arange(10) / 10, atol=1e-3)


def test_each_fold_is_predicted_by_the_others() -> None:
    """The fit without a fold is the fit to the rest, at the strength whose held-out error is least."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(60, 4))
    y = (x[:, 0] + generator.normal(size=60) > 0).astype(float)
    parts = [(x[i::3], y[i::3]) for i in range(3)]
    whole, left_out = fit_ridge([moments(*part) for part in parts])
    place = int(np.flatnonzero(whole.strength == STRENGTHS)[0])
    held_out = 0.0
    for i, model in enumerate(left_out):
        rest = sum(moments(*part) for j, part in enumerate(parts) if j != i)
        coef, intercept = ridge_path(rest)[place]
        np.testing.assert_allclose(model.coef, coef)
        held_out += ((parts[i][0] @ coef + intercept - parts[i][1]) ** 2).sum() / 60
    assert whole.cv_mse[place] == pytest.approx(held_out)
    assert whole.cv_mse.min() == whole.cv_mse[place]


def test_probe_reads_the_real_policy_and_is_charged_for_it(suite, tmp_path) -> None:
    info, found = (lambda p: (p.info, p.values))(Predictions.read(run(suite, "probe", {}, tmp_path)))
    assert tuple(info.budget) == find("probe").budget
    # Three problems: two probes of 3 + 8 tokens each; the root and the shorter prefixes ride along.
    assert info.cost.tokens_read_per_state == pytest.approx(3 * 22 / 15)
    assert ((found >= 0) & (found <= 1)).all()
    assert len(np.unique(found)) > 5
    assert info.cost.train_s > 0


def test_a_layer_that_is_not_there_is_refused(suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="layer 77"):
        run(suite, "probe", {"layer": 77}, tmp_path)


def test_probe_without_enough_training_problems_says_so(build_suite, tmp_path) -> None:
    with pytest.raises(SvebError, match="probe needs at least two training problems"):
        run(build_suite(n_train=0), "probe", {}, tmp_path)
