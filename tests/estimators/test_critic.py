"""The critic: targets and losses by hand, what it learns, a killed training, a trained one taken back, a real run."""

import json
import pickle

import numpy as np
import pytest
import torch

from sveb.common.errors import SvebError
from sveb.contract.estimator import Workplace
from sveb.estimators.critic import Critic
from sveb.estimators.registry import find
from sveb.estimators.shared import value_training
from sveb.estimators.shared.value_model import (
    BINS,
    ValueModel,
    backbone_of,
    histogram,
    lambda_returns,
    parts,
    predict,
    token_losses,
)
from sveb.estimators.shared.value_store import Store, load_weights
from sveb.estimators.shared.value_training import Recipe, Trajectory, squared_error, train
from sveb.harness.run_estimator import run
from sveb.policies.nano import WEIGHTS_DIR
from sveb.runs.predictions import Predictions


def row(*values: float) -> torch.Tensor:
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


def test_advantages_of_a_short_reward_sequence_by_hand() -> None:
    """gamma = .9, lam = .5, rewards 1 0 2, values .5 1 1.5 2.

    Deltas: 1 + .9 - .5 = 1.4, 0 + 1.35 - 1 = .35, 2 + 1.8 - 1.5 = 2.3. Advantages from the end: 2.3,
    .35 + .45 * 2.3 = 1.385, 1.4 + .45 * 1.385 = 2.02325.
    """
    found = lambda_returns(row(1, 0, 2), row(0.5, 1, 1.5, 2), 0.5, 0.9) - row(0.5, 1, 1.5)
    assert found[0].tolist() == pytest.approx([2.02325, 1.385, 2.3])


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


def test_mass_of_a_histogram_bin_by_hand() -> None:
    """Target .5 is the middle of bin 25: within half a bin of it lies P(|z| < .5 / .75) = .4950 of a Gaussian.

    The bins on both sides hold P(.5 / .75 < z < 1.5 / .75) = .2297 each.
    """
    masses = histogram(torch.tensor(0.5, dtype=torch.float64))
    assert masses[25].item() == pytest.approx(0.4950, abs=1e-4)
    assert masses[[24, 26]].tolist() == pytest.approx([0.2297, 0.2297], abs=1e-4)


def test_the_histogram_loss_of_a_uniform_guess_is_log_bins() -> None:
    found = token_losses("hlgauss", torch.zeros(1, 1, BINS), row(0.3), row(0))
    assert found.item() == pytest.approx(np.log(BINS))


def test_parts_hold_like_lengths_within_the_bound() -> None:
    """Ten tokens a part: 9 stands alone, 5 with 4 (padded 10), three of at most 3; one of 12 is read all the same."""
    assert [*parts([3, 9, 2, 5, 4, 3], 10)] == [[1], [3, 4], [0, 5, 2]]
    assert [*parts([12, 1], 10)] == [[0], [1]]


def made(n: int = 32) -> list[Trajectory]:
    """Responses of 20s succeed and of 21s fail; of many lengths."""
    return [
        Trajectory(np.array([1, 5, 7] + [20 + i % 2] * (4 + i % 5), dtype=np.int32), 3, 1.0 - i % 2) for i in range(n)
    ]


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def model(loss: str, **options: object) -> ValueModel:
    torch.manual_seed(0)
    return ValueModel(backbone_of(str(WEIGHTS_DIR / "nano-early"), True), loss, **options)


@pytest.mark.parametrize(("loss", "start"), [("mse", 0.0), ("clipped", 0.0), ("bce", 0.5), ("hlgauss", 0.5)])
def test_training_starts_from_one_value_and_learns_what_tokens_tell(loss, start, tmp_path) -> None:
    new = model(loss)
    tokens = [made()[0].token_ids, made()[1].token_ids[:5]]
    assert np.concatenate(predict(new, tokens)) == pytest.approx(np.full(12, start), abs=1e-6)
    history = train(new, made(), made(4), Recipe(1.0, 12, 2e-3, 0), Store(tmp_path, {}), quiet)
    good, bad = predict(new, tokens)
    assert len(history.held_out) == 12
    assert len(history.losses) == 24
    assert min(history.held_out) < 0.1
    assert good[-1] > 0.75
    assert bad[-1] < 0.25


def test_the_epoch_with_the_least_held_out_error_is_kept(tmp_path) -> None:
    """Held-out returns contradict the training's: later epochs only get worse on them."""
    contrary = [Trajectory(each.token_ids, 3, 1 - each.return_) for each in made(4)]
    new = model("bce")
    errors = train(new, made(), contrary, Recipe(1.0, 3, 1e-3, 0), Store(tmp_path, {}), quiet).held_out
    assert errors[0] == min(errors)
    assert squared_error(new, contrary) == pytest.approx(errors[0], rel=1e-4)
    again = model("bce")
    load_weights(tmp_path, again)
    assert squared_error(again, contrary) == pytest.approx(errors[0], rel=1e-4)
    told = json.loads((tmp_path / "critic.json").read_text())
    assert told["held_out"] == errors
    assert len(told["losses"]) == 6
    assert (tmp_path / "critic.svg").read_text().startswith("<svg")
    assert not (tmp_path / "unfinished.pt").exists()


@pytest.mark.parametrize("loss", ["mse", "hlgauss"])
def test_gradients_gathered_in_small_passes_are_those_of_the_whole_batch(loss) -> None:
    """16 rollouts of unequal lengths: at once, and about two a pass. Only the prompt and the padding do not count."""
    gradients = []
    for tokens in (10_000, 20):
        new = model(loss, tokens_at_once=tokens)
        torch.nn.init.normal_(new.head.weight, std=0.1)
        optimizer = torch.optim.SGD(new.parameters(), lr=0.0)
        old = predict(new, [each.token_ids for each in made(16)])
        mean = value_training._step(new, optimizer, made(16), old, 0.5)
        gradients.append((mean, torch.cat([p.grad.flatten() for p in new.parameters() if p.grad is not None])))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-5)
    torch.testing.assert_close(gradients[0][1], gradients[1][1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("tokens", [64, 4096])
def test_a_long_common_beginning_is_read_once_with_the_same_values_and_gradients(tokens) -> None:
    beginning = np.arange(200) % 40 + 8
    batch = [
        Trajectory(np.concatenate([beginning, each.token_ids]).astype(np.int32), 203, each.return_) for each in made(7)
    ]
    found = []
    for sharing in (True, False):
        new = model("bce", tokens_at_once=tokens)
        torch.nn.init.normal_(new.head.weight, std=0.2)
        if not sharing:
            new.backbone.config.layer_types = ["sliding_attention"]
        rows, shared = zip(*new.passes([each.token_ids for each in batch]), strict=True)
        assert sorted(row for each in rows for row in each) == list(range(7))
        assert set(shared) == ({202} if sharing else {0})
        optimizer = torch.optim.SGD(new.parameters(), lr=0.0)
        list(value_training.gradient_steps(new, optimizer, batch, 0.5))
        values = predict(new, [each.token_ids for each in batch])
        found.append((np.concatenate(values), [each.grad for each in new.parameters() if each.grad is not None]))
    (values, gradients), (expected, as_alone) = found
    assert values == pytest.approx(expected, abs=1e-5)
    assert len(gradients) == len(as_alone)
    for one, other in zip(gradients, as_alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_loss_is_the_mean_over_the_responses_tokens() -> None:
    """V is 0 everywhere: squared errors 1 at the 4 tokens of a success, 0 at the 5 of a failure."""
    new = model("mse")
    optimizer = torch.optim.SGD(new.parameters(), lr=0.0)
    old = [np.zeros(len(each.token_ids)) for each in made(2)]
    assert value_training._step(new, optimizer, made(2), old, 1.0) == pytest.approx(4 / 9)


@pytest.mark.parametrize("lam", [1.0, 0.9])
def test_a_killed_training_goes_on_to_the_same_weights(lam, tmp_path) -> None:
    """Killed in the second of three epochs of two batches, after the first batch was saved."""

    def killed(done: int, total: int) -> None:
        if done > total / 3 + 64:
            raise KeyboardInterrupt

    recipe = Recipe(lam, 3, 1e-3, 0)
    whole, broken, other = model("mse"), model("mse"), model("mse")
    history = train(whole, made(96), made(4), recipe, Store(tmp_path / "whole", {}), quiet)
    with pytest.raises(KeyboardInterrupt):
        train(broken, made(96), made(4), recipe, Store(tmp_path / "broken", {}, 0.0, 1.0), killed)
    done: list[int] = []
    gone_on = train(other, made(96), made(4), recipe, Store(tmp_path / "broken", {}), lambda n, _: done.append(n))
    assert done[0] > 96
    assert gone_on == history
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_what_was_trained_otherwise_is_not_gone_on_with(tmp_path) -> None:
    recipe, done = Recipe(1.0, 1, 1e-3, 0), []
    for data in ("a", "b", "b"):
        train(model("mse"), made(), made(4), recipe, Store(tmp_path, {"data": data}), lambda n, _: done.append(n))
    assert done == [16, 32, 16, 32]


def test_a_training_that_diverges_says_so(tmp_path) -> None:
    with pytest.raises(SvebError, match=r"diverged in epoch 1: choose an lr below 1e\+30"):
        train(model("mse"), made(), made(4), Recipe(1.0, 1, 1e30, 0), Store(tmp_path, {}), quiet)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_half_precision_is_close_and_trains(device, tmp_path) -> None:
    """Weights and the head stay float32; only what autocast deems safe is computed in bfloat16."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    whole, half = model("mse").to(device), model("mse", in_bfloat16=True).to(device)
    for each in (whole, half):
        torch.manual_seed(1)
        torch.nn.init.normal_(each.head.weight, std=0.05)
    tokens = [each.token_ids for each in made(8)]
    for full, short in zip(predict(whole, tokens), predict(half, tokens), strict=True):
        np.testing.assert_allclose(short, full, atol=0.05)
        assert not np.array_equal(short, full)
    errors = train(half, made(), made(4), Recipe(1.0, 8, 2e-3, 0), Store(tmp_path, {}), quiet).held_out
    assert errors[-1] < 0.1
    assert {p.dtype for p in half.parameters()} == {torch.float32}


def test_padding_does_not_change_a_value() -> None:
    new = model("mse")
    torch.nn.init.normal_(new.head.weight)
    sequences = [np.arange(1, n, dtype=np.int32) for n in (4, 30, 9)]
    together = predict(new, sequences)
    for sequence, values in zip(sequences, together, strict=True):
        np.testing.assert_allclose(values, predict(new, [sequence])[0], atol=1e-3)


@pytest.mark.slow
def test_a_run_is_the_same_again_after_a_kill_and_from_its_checkpoint(suite, tmp_path) -> None:
    """Interrupted while it predicts: the next run of that name finds its critic trained, and so does a checkpoint."""
    params = {"target": "gae", "lam": "0.9", "loss": "bce", "epochs": "1"}
    kept = tmp_path / "kept"
    seen: list[tuple[int, int]] = []

    def interrupted(done: int, total: int) -> None:
        seen.append((done, total))
        if total == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(suite, "critic", params, tmp_path, scratch=kept, progress=interrupted)
    assert seen == [(12, 12), (0, 3)]  # training rollouts, then problems
    seen.clear()
    runs = [
        run(suite, "critic", params, tmp_path / "again", scratch=kept, progress=lambda *at: seen.append(at)),
        run(suite, "critic", params | {"checkpoint": str(kept)}, tmp_path / "taken"),
    ]
    assert {total for _, total in seen} == {3}  # problems: no training rollouts again
    assert seen[-1] == (3, 3)
    found = [Predictions.read(path) for path in runs]
    for each in found:
        np.testing.assert_allclose(each.values, found[0].values, atol=1e-6)
        assert tuple(each.info.budget) == find("critic").budget
    assert ((found[0].values > 0) & (found[0].values < 1)).all()


@pytest.mark.parametrize(
    ("told", "params", "said"),
    [
        (None, {}, "as `sveb eval critic` leaves it"),
        ({}, {}, "is not the history of a critic's training"),
        ({"held_out": [0.3, 0.2, 0.2, 0.3]}, {"loss": "bce"}, "add --set loss=mse"),
        ({"held_out": [0.3]}, {}, "has not finished"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, told, params, said) -> None:
    settings = {"target": "mc", "lam": 1.0, "loss": "mse", "init": "policy", "epochs": 4, "lr": 3e-4}
    if told is not None:
        (tmp_path / "critic.json").write_text(json.dumps(told and {"settings": settings, "losses": [1.0], **told}))
    critic = Critic(**params, checkpoint=tmp_path.name)  # relative to where the user is
    critic._workplace = Workplace(tmp_path / "scratch", tmp_path.parent, quiet)
    with pytest.raises(SvebError, match=said):
        critic.fit([])


def test_weights_of_another_model_are_refused(tmp_path) -> None:
    with pytest.raises(SvebError, match="does not exist"):
        load_weights(tmp_path, model("mse"))
    (tmp_path / "critic.safetensors").write_text("none")
    with pytest.raises(SvebError, match="is not a critic of this suite's policy"):
        load_weights(tmp_path, model("mse"))
    train(model("hlgauss"), made(), made(4), Recipe(1.0, 1, 1e-3, 0), Store(tmp_path, {}), quiet)
    with pytest.raises(SvebError, match="is not a critic of this suite's policy: size mismatch"):
        load_weights(tmp_path, model("mse"))


def test_a_trained_value_model_can_be_pickled() -> None:
    new = model("hlgauss")
    again = pickle.loads(pickle.dumps(new))
    np.testing.assert_array_equal(predict(again, [made(1)[0].token_ids])[0], predict(new, [made(1)[0].token_ids])[0])


@pytest.mark.parametrize(
    "params", [{"epochs": 0}, {"lr": -1.0}, {"lr": np.nan}, {"lr": np.inf}, {"lam": 1.5}, {"tokens_at_once": 0}]
)
def test_settings_that_cannot_train_are_refused(params) -> None:
    with pytest.raises(SvebError, match="expected at least one epoch"):
        Critic(**params).fit([])


def test_critic_without_training_problems_says_so() -> None:
    with pytest.raises(SvebError, match="critic needs at least two training problems"):
        Critic().fit([])
