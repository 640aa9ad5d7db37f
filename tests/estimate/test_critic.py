"""The critic: targets and losses by hand, zero at the start, what it learns, the real policy's copy."""

import numpy as np
import pytest

from sveb.core.errors import SvebError
from sveb.core.predictions import Predictions
from sveb.core.tables import table_of, write_table
from sveb.estimate.registry import BUILTINS
from sveb.estimate.run import run

from .test_builtins import WEIGHTS, needs_nano

torch = pytest.importorskip("torch")

from sveb.estimate.builtins import value_model  # noqa: E402 - imports torch
from sveb.estimate.builtins.value_model import (  # noqa: E402
    BINS,
    Trajectory,
    ValueModel,
    histogram,
    lambda_returns,
    predict,
    token_losses,
    train,
)


def row(*values: float) -> "torch.Tensor":
    return torch.tensor([values], dtype=torch.float32)


def test_advantage_and_target_of_one_step_by_hand() -> None:
    """V = 1.2, r = .5, V' = 1, gamma = .9: advantage .2. V = 3, r = .5, V' = 4: target 4.1, squared error 1.21."""
    assert lambda_returns(row(0.5), row(1.2, 1.0), 0.0, 0.9).item() - 1.2 == pytest.approx(0.2)
    target = lambda_returns(row(0.5), row(3.0, 4.0), 0.0, 0.9)
    assert target.item() == pytest.approx(4.1)
    assert token_losses("mse", torch.tensor([[[3.0]]]), target, row(3.0)).item() == pytest.approx(1.21)


def test_lambda_returns_by_hand() -> None:
    """Three tokens, return 1 at the last, values .2 .4 .6, then nothing: lam 1, 0 and 1/2."""
    rewards, values = row(0, 0, 1, 0), row(0.2, 0.4, 0.6, 0, 0)
    assert lambda_returns(rewards, values, 1.0).tolist() == [[1, 1, 1, 0]]
    assert lambda_returns(rewards, values, 0.0)[0].tolist() == pytest.approx([0.4, 0.6, 1, 0])
    assert lambda_returns(rewards, values, 0.5)[0].tolist() == pytest.approx([0.6, 0.8, 1, 0])


def test_lambda_returns_are_advantages_added_to_values() -> None:
    """Against the sum over deltas, gamma = .9, lam = .7."""
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.rand(2, 5, generator=generator), torch.rand(2, 6, generator=generator)
    deltas = rewards + 0.9 * values[:, 1:] - values[:, :-1]
    found = lambda_returns(rewards, values, 0.7, 0.9)
    for t in range(5):
        advantage = sum(0.63**k * deltas[:, t + k] for k in range(5 - t))
        torch.testing.assert_close(found[:, t], values[:, t] + advantage)


def test_the_clipped_loss_is_the_larger_error() -> None:
    """V .5, target 1, old .1: kept at .3, error .49. From old .9 it is kept at .7, error .09: .25 counts."""
    outputs, target = torch.tensor([[[0.5]]]), row(1.0)
    assert token_losses("clipped", outputs, target, row(0.1)).item() == pytest.approx(0.49)
    assert token_losses("clipped", outputs, target, row(0.9)).item() == pytest.approx(0.25)


def test_cross_entropy_by_hand() -> None:
    """Logit log 3 is 3/4: -log(3/4) against 1, and half of each against one half."""
    outputs = torch.tensor([[[np.log(3.0)]]])
    assert token_losses("bce", outputs, row(1.0), row(0)).item() == pytest.approx(-np.log(0.75))
    halves = -(np.log(0.75) + np.log(0.25)) / 2
    assert token_losses("bce", outputs, row(0.5), row(0)).item() == pytest.approx(halves)


def test_a_histogram_target_is_a_distribution_around_its_target() -> None:
    targets = torch.tensor([0.0, 0.3, 0.5, 1.0])
    masses = histogram(targets)
    torch.testing.assert_close(masses.sum(-1), torch.ones(4))
    means = masses @ ((torch.arange(BINS) + 0.5) / BINS)
    assert means.tolist() == pytest.approx(targets.tolist(), abs=1 / BINS)
    assert means[2].item() == pytest.approx(0.5, abs=1e-5)


@needs_nano
@pytest.mark.parametrize(("loss", "start"), [("mse", 0.0), ("clipped", 0.0), ("bce", 0.5), ("hlgauss", 0.5)])
def test_training_starts_from_one_value_and_learns_what_tokens_tell(loss, start) -> None:
    """Responses of 20s succeed and of 21s fail."""
    torch.manual_seed(0)
    model = ValueModel(str(WEIGHTS), True, loss)
    made = [Trajectory(np.array([1, 5, 7] + [20 + i % 2] * 6, dtype=np.int32), 3, 1.0 - i % 2) for i in range(32)]
    tokens = [made[0].token_ids, made[1].token_ids[:5]]
    before = predict(model, tokens)
    assert np.concatenate(before) == pytest.approx(np.full(14, start), abs=1e-6)
    errors = train(model, made, made[:4], 1.0, 12, 2e-3, np.random.default_rng(0))
    good, bad = predict(model, tokens)
    assert len(errors) == 12
    assert min(errors) < 0.1
    assert good[-1] > 0.75
    assert bad[-1] < 0.25


@needs_nano
def test_the_epoch_with_the_least_held_out_error_is_kept() -> None:
    """Held-out returns contradict the training's: later epochs only get worse on them."""
    torch.manual_seed(0)
    model = ValueModel(str(WEIGHTS), True, "bce")
    made = [Trajectory(np.array([1, 5, 7] + [20 + i % 2] * 6, dtype=np.int32), 3, 1.0 - i % 2) for i in range(32)]
    contrary = [Trajectory(each.token_ids, 3, 1 - each.return_) for each in made[:4]]
    errors = train(model, made, contrary, 1.0, 3, 1e-3, np.random.default_rng(0))
    assert errors[0] == min(errors)
    assert value_model._error(model, contrary) == pytest.approx(errors[0], rel=1e-4)


@needs_nano
def test_padding_does_not_change_a_value() -> None:
    torch.manual_seed(0)
    model = ValueModel(str(WEIGHTS), True, "mse")
    torch.nn.init.normal_(model.head.weight)
    sequences = [np.arange(1, n, dtype=np.int32) for n in (4, 30, 9)]
    together = predict(model, sequences)
    for sequence, values in zip(sequences, together, strict=True):
        np.testing.assert_allclose(values, predict(model, [sequence])[0], atol=1e-3)


@needs_nano
def test_critic_trains_on_training_rollouts_and_is_the_same_again(suite, tmp_path) -> None:
    params = {"target": "gae", "lam": 0.9, "loss": "bce", "epochs": 1}
    first, second = (Predictions.read(run(suite, "critic", params, tmp_path)) for _ in range(2))
    assert tuple(first.info.budget) == BUILTINS["critic"].budget
    assert ((first.values > 0) & (first.values < 1)).all()
    assert first.info.cost.train_s > 0
    np.testing.assert_allclose(first.values, second.values, atol=1e-6)


def test_critic_without_training_problems_says_so(suite, tmp_path) -> None:
    problems = [row for row in suite.table("problems").to_pylist() if row["split"] == "test"]
    write_table(suite.path / "problems.parquet", table_of("problems", problems))
    with pytest.raises(SvebError, match="critic needs at least two training problems"):
        run(suite, "critic", {}, tmp_path)
