"""The probe's choice of layer, its rows, its entropies, and its logistic form."""

import pickle

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.contract.problem import Group, Problem
from sveb.estimators.shared.logistic import PENALTIES, fit_logistic, fit_logistic_folds
from sveb.estimators.shared.probing import FOLDS, _layers, fit_probe, mean_entropies, rollout_features
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions


def problem(number: int) -> Problem:
    """Four rollouts of two steps, of which the second one ends the response."""
    tokens = [np.arange(6, dtype=np.int32)] * 4
    group = Group(np.array([1.0, 0, 1, 0]), [""] * 4, tokens, [np.array([3, 6], dtype=np.int32)] * 4)
    return Problem(f"train-{number}", "", np.array([1], dtype=np.int32), [], number, lambda: group, lambda: "")


class Planted:
    """A policy of `depth` layers of which one knows the return; no real one can be told which to be."""

    def __init__(self, depth: int, knows: int = 0) -> None:
        self.depth, self.knows = depth, knows

    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[np.ndarray]:
        if not 0 <= layer <= self.depth:
            raise SvebError("no such layer")
        noise = np.random.default_rng([layer, int(problem.id[6:])]).normal(size=(4, 3, 5))
        if layer == self.knows:
            noise[:, :, 2] += 2 * problem.group.returns[:, None]
        noise[:, 2] += 100 * problem.group.returns[:, None]  # the finished response, whose return is known
        return list(noise.astype(np.float32))

    def rollout_confidences(self, problem: Problem, k: int) -> list[np.ndarray]:
        assert k == 1
        entropies = np.array([1.0, 2, 3, 6, 9, 9, 9]) + 10 * problem.group.returns[:, None]
        return [np.column_stack([np.zeros(7), each]) for each in entropies]


@pytest.mark.parametrize(
    ("depth", "tried"), [(1, [1]), (4, [1, 2, 3, 4]), (6, [1, 2, 3, 4, 5, 6]), (28, [1, 6, 12, 17, 23, 28])]
)
def test_layers_are_spread_over_the_depth_and_the_last_is_among_them(depth, tried) -> None:
    assert _layers(Planted(depth), problem(0)) == tried


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_the_layer_that_knows_the_return_is_chosen(kind) -> None:
    train = [problem(number) for number in range(20)]
    found = fit_probe(Planted(4, knows=3), train, kind, None, False, "probe")
    assert found.layer == 3
    assert list(found.held_out_mse) == [1, 2, 3, 4]
    assert found.held_out_mse[3] < 0.2 < min(found.held_out_mse[layer] for layer in (1, 2, 4))
    assert sorted(found.without) == list(range(FOLDS))
    assert fit_probe(Planted(4, knows=3), train, kind, 2, False, "probe").layer == 2
    rows = np.eye(5, dtype=np.float32)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).regression(rows), found.regression(rows))


def test_finished_responses_are_no_rows_and_entropies_are_means_so_far() -> None:
    """After 0 and 3 tokens: 1, and the mean of 1 2 3 6, ten more where the return is 1."""
    plain = rollout_features(Planted(1), problem(0), 1, False)
    assert [rows.shape for rows in plain] == [(2, 5)] * 4
    assert np.abs(np.concatenate(plain)).max() < 10
    wide = rollout_features(Planted(1), problem(0), 1, True)
    assert [rows[:, -1].tolist() for rows in wide] == [[11, 13], [1, 3]] * 2


def test_mean_entropies_by_hand() -> None:
    assert mean_entropies(np.array([2, 4, 0], dtype=np.float32)).tolist() == [2, 3, 2]


def test_the_penalty_is_the_one_that_does_best_on_the_folds_left_out() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, 6))
    y = (x[:, 0] + generator.normal(size=90) > 0).astype(float)
    folds = [(x[i::3], y[i::3]) for i in range(3)]
    whole, without = fit_logistic_folds(folds)
    errors = []
    for penalty in PENALTIES:
        rests = [np.arange(90) % 3 != i for i in range(3)]
        fits = [fit_logistic(x[rest], y[rest], np.ones(60), penalty) for rest in rests]
        errors.append(sum(((fit(x[~rest]) - y[~rest]) ** 2).sum() for fit, rest in zip(fits, rests, strict=True)))
    best = PENALTIES[int(np.argmin(errors))]
    assert best != PENALTIES[0]  # so that there was something to choose
    np.testing.assert_allclose(whole.coef, fit_logistic(x, y, np.ones(90), best).coef, rtol=1e-6)
    rest = np.arange(90) % 3 != 1
    np.testing.assert_allclose(without[1].coef, fit_logistic(x[rest], y[rest], np.ones(60), best).coef, rtol=1e-6)


def test_one_training_problem_is_too_few() -> None:
    for train in ([], [problem(0)]):
        with pytest.raises(SvebError, match="probe needs at least two training problems"):
            fit_probe(Planted(2), train, "ridge", None, False, "probe")


@pytest.mark.parametrize("name", ["probe", "probe_group"])
def test_entropies_of_the_real_policy_are_read_and_told(suite, tmp_path, name) -> None:
    found = Predictions.read(run(suite, name, {"entropy": "true", "model": "ridge"}, tmp_path))
    assert {"hidden_states", "logprobs"} <= set(found.info.budget)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    assert found.info.estimator.params["layer"] is None
