"""`sveb.training`: an estimator on the rollouts of a policy in training, and the loop and the bench that use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.training import Cell, area, difference, figures, permuted, seeds_needed
from examples.train_with_estimator import Settings, Trainer, gae
from sveb.common.errors import SvebError
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task
from sveb.training import Sampled, Valuer, sample
from tests.support.fixtures import WriteEstimator

ROOT = Path(__file__).parent.parent
SMALL = Settings(problems=3, rollouts=4, updates=2, test_problems=2, fit_on=1, minibatches=2, refit_every=2)


@pytest.fixture(scope="module")
def batch(nano_transformers: Any) -> list[Sampled]:
    """Six rollouts of each of three problems."""
    task = Task.load("ledger")
    return sample(nano_transformers, task, load_problems(task, 3, 0, seed=5).train, 6, seed=5)


def valuer(policy: Any, estimator: str, **params: Any) -> Valuer:
    return Valuer(estimator, policy, "ledger", params, seed=5)


def test_rollouts_end_with_their_last_step_and_keep_their_order(nano_transformers: Any, batch: list[Sampled]) -> None:
    assert {len(sampled.group) for sampled in batch} == {6}
    assert {0.0, 1.0} == {return_ for sampled in batch for return_ in sampled.group.returns}
    again = sample(nano_transformers, Task.load("ledger"), [batch[2].record], 6, seed=5, first=12)
    assert again[0].group.texts == batch[2].group.texts


def test_the_group_mean_is_that_of_the_other_rollouts(nano_transformers: Any, batch: list[Sampled]) -> None:
    for sampled, rows in zip(batch, valuer(nano_transformers, "group_mean").values(batch), strict=True):
        returns = sampled.group.returns
        for i, values in enumerate(rows):
            ends = sampled.group.step_ends[i]
            assert len(values) == 1 + (ends < len(sampled.group.token_ids[i])).sum()
            assert values == pytest.approx(np.delete(returns, i).mean())


def test_states_are_shown_one_by_one_from_the_prompt_on(
    nano_transformers: Any, batch: list[Sampled], write_estimator: WriteEstimator
) -> None:
    source = (
        "def predict(problem):\n"
        "    seen = problem.remember('seen', list)\n"
        "    (state,) = problem.states\n"
        "    assert len(problem.group) == 5 and state.text not in problem.group.texts\n"
        "    assert state.step_index == len(seen) and state.text.startswith(seen[-1] if seen else '')\n"
        "    assert (state.kind == 'root') == (state.n_tokens == 0)\n"
        "    seen.append(state.text)\n"
        "    return [len(seen) / 100]\n"
    )
    found = valuer(nano_transformers, write_estimator(source)).values(batch)
    assert all(values.tolist() == [(1 + i) / 100 for i in range(len(values))] for rows in found for values in rows)


@pytest.mark.parametrize("name", ["stacked", "probe_group", "hista", "kernel", "confidence", "answer_likelihood"])
def test_estimators_read_the_policy(nano_transformers: Any, batch: list[Sampled], name: str) -> None:
    mine = valuer(nano_transformers, name)
    assert mine.fits
    mine.fit(batch[:2])
    found = mine.values(batch[2:])
    assert all(((values >= 0) & (values <= 1)).all() for rows in found for values in rows)
    assert mine.tokens_sampled == 0


def test_what_a_state_reads_does_not_depend_on_what_follows(nano_transformers: Any, batch: list[Sampled]) -> None:
    access = valuer(nano_transformers, "group_mean")._access
    problem, states = access.left_out("p", batch[0], 0)
    whole, prompt = np.concatenate([problem.prompt_token_ids, states[-1].token_ids]), problem.prompt_token_ids
    alone = nano_transformers.hidden_states([whole[: len(prompt) + states[1].n_tokens]])[0]
    np.testing.assert_allclose(access.hidden_states(states)[1], alone[-1], atol=1e-4)
    np.testing.assert_allclose(next(access.token_hidden_states([states[1]])), alone, atol=1e-4)
    assert [len(row) for row in access.logprobs(states)] == [state.n_tokens for state in states]
    assert [len(row) for row in access.confidences(states)] == [state.n_tokens + 1 for state in states]
    others = [
        access.rollout_hidden_states(problem),
        access.rollout_confidences(problem),
        access.rollout_prefix_texts(problem),
    ]
    assert {len(each) for each in others} == {5}
    assert ["".join(steps) for steps in access.step_texts(states)] == [state.text for state in states]


def test_readings_follow_the_weights(nano_transformers: Any, batch: list[Sampled]) -> None:
    access = valuer(nano_transformers, "group_mean")._access

    def read() -> Any:
        access.begin()
        return access.hidden_states(access.left_out("p", batch[0], 0)[1])

    before, weight = read(), nano_transformers.model.base_model.norm.weight
    with torch.no_grad():
        weight.mul_(2)
        after = read()
        weight.div_(2)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-4)


def test_sampled_tokens_are_counted_and_continuations_can_be_read(nano_transformers: Any, batch: list[Sampled]) -> None:
    mine = valuer(nano_transformers, "mc", k=2)
    values = np.concatenate([row for rows in mine.values(batch[:1]) for row in rows])
    assert set(values) <= {0.0, 0.5, 1.0}
    access = mine._access
    assert mine.tokens_sampled == access.live.tokens_sampled > len(values)
    _, states = access.left_out("p", batch[0], 0)
    (steps,) = access.sample_steps(states[:1], 3)
    reached = [step.after_step for step in steps if step.after_step is not None]
    assert reached
    hidden = nano_transformers.hidden_states([np.concatenate([batch[0].prompt, reached[0].token_ids])])[0]
    np.testing.assert_allclose(access.hidden_states(reached)[0], hidden[-1], atol=1e-4)


def test_a_missing_value_is_an_error(
    nano_transformers: Any, batch: list[Sampled], write_estimator: WriteEstimator
) -> None:
    mine = valuer(nano_transformers, write_estimator("def predict(problem):\n    return [None]"))
    with pytest.raises(SvebError, match="18 of 18 states have no finite value"):
        mine.values(batch)


def test_advantages_by_hand() -> None:
    values = np.array([0.5, 0.25, 0.75])
    assert gae(values, 1.0, 1.0).tolist() == [0.5, 0.75, 0.25]  # return minus value
    assert gae(values, 1.0, 0.0).tolist() == [-0.25, 0.5, 0.25]  # next value minus value
    assert gae(values, 1.0, 0.5).tolist() == [0.0625, 0.625, 0.25]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "params", "lam"), [("group_mean", {}, 1.0), ("stacked", {}, 0.5), ("mc", {"k": 1}, 0.0)]
)
def test_the_example_trains_for_two_updates(estimator: str, params: dict[str, int], lam: float) -> None:
    trainer = Trainer(replace(SMALL, estimator=estimator, params=params, lam=lam))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    first, second = trainer.update(), trainer.update()
    assert second["update"] == 2
    assert second["tokens"] > first["tokens"] > 0
    assert (second["tokens_of_estimator"] > 0) == (estimator != "group_mean")
    moved = [float((value - before[name]).abs().max()) for name, value in trainer.model.state_dict().items()]
    assert 0 < max(moved) < 0.01  # Adam moves a weight by about its learning rate
    assert 0 <= trainer.success() <= 1


@pytest.mark.slow
def test_the_example_runs_from_the_command_line() -> None:
    command = "--estimator mc --set k=1 --lam 0 --updates 1 --problems 2 --rollouts 2 --minibatches 1 --test-problems 2"
    done = subprocess.run(
        [sys.executable, "examples/train_with_estimator.py", *command.split()],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("update 1  return")
    assert "success on 2 fixed problems" in done.stdout


@pytest.mark.slow
def test_the_example_says_what_is_wrong_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "examples/train_with_estimator.py", "--estimator", "stackd"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: unknown estimator 'stackd': did you mean stacked" in done.stderr
    assert "Traceback" not in done.stderr


def weights(cell: Cell) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(cell.folder / "checkpoint.pt", weights_only=False)["model"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["permuted-half", "critic"])
def test_a_killed_training_continues_to_the_same_weights(tmp_path: Path, arm: str) -> None:
    settings = {"estimator": "bench/online_critic.py:OnlineCritic" if arm == "critic" else "stacked", "lam": 0.5}
    whole = Cell(arm, replace(SMALL, **settings, updates=3), tmp_path / "whole")
    killed = replace(whole, folder=tmp_path / "killed")
    code = (
        "from pathlib import Path\n"
        "from bench.training import Cell\n"
        "from examples.train_with_estimator import Settings\n"
        f"Cell({arm!r}, {killed.settings!r}, Path({str(killed.folder)!r})).run()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not killed.record["updates"]:
        assert process.poll() is None
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    whole.run()
    killed.run()
    assert killed.record["updates"] == whole.record["updates"]
    assert killed.record["success"] == whole.record["success"]
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(killed)[name]), name
    with pytest.raises(SvebError, match="trained with other settings"):
        replace(killed, settings=replace(killed.settings, lr=1.0)).run()


def test_permuted_values_stay_with_their_problem() -> None:
    rows = [np.array([0.1, 0.2, 0.3]), np.array([0.4]), np.array([0.5, 0.6])]
    found = permuted(rows, np.random.default_rng(0))
    assert [len(row) for row in found] == [3, 1, 2]
    assert sorted(np.concatenate(found)) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert np.concatenate(found).tolist() != [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_the_area_is_the_mean_height_of_the_curve() -> None:
    x, y = np.array([0, 10, 20]), np.array([0.2, 0.4, 0.4])
    assert area(x, y, 20) == pytest.approx(0.35)
    assert area(x, y, 5) == pytest.approx(0.25)  # half of the way up: from .2 to .3


def test_arms_are_compared_at_equal_tokens_and_unfinished_runs_are_left_out() -> None:
    def record(arm: str, success: list[float], of_estimator: int) -> dict[str, Any]:
        n = 15 * (len(success) - 1)
        rows = [{"return": 0.5, "tokens": 10 * i, "tokens_of_estimator": of_estimator * i} for i in range(1, n + 1)]
        curve = {str(15 * i): s for i, s in enumerate(success)}
        return {"arm": arm, "settings": {"seed": 7}, "updates": rows, "success": curve, "cpu_s": 60.0}

    records = [
        record("group_mean", [0.2, 0.4], 0), record("group_mean", [0.2, 0.5], 0), record("mc", [0.2, 0.6], 30),
        record("critic", [0.2], 0),
    ]  # fmt: skip
    found = figures(records, 15)
    assert found["tokens_compared"] == 150
    assert found["arms"]["critic"] == found["arms"]["stacked"] == "not run"
    assert found["arms"]["group_mean"]["area_by_updates"] == {"seeds": 2, "mean": 0.325, "sd": 0.0354}
    # mc has spent four times the tokens: of its rise from .2 to .6 the first quarter counts.
    assert found["arms"]["mc"]["area_by_updates"]["mean"] == pytest.approx(0.4)
    assert found["arms"]["mc"]["area_by_tokens"]["mean"] == pytest.approx(0.25)
    assert found["seeds_needed"] == seeds_needed(0.0354)
    assert list(found["curves"]) == ["group_mean", "mc"]
    mine = found["curves"]["group_mean"]
    assert [each["success"] for each in mine["seeds"]] == [[0.2, 0.4], [0.2, 0.5]]
    assert mine["mean"] == {"updates": [0.0, 15.0], "tokens": [0.0, 150.0], "success": [0.2, 0.45]}
    assert found["differences"] == {
        "mc - group_mean": {"area_by_updates": [0.075, None, None], "area_by_tokens": [-0.075, None, None]}
    }


def test_differences_have_the_interval_of_welch() -> None:
    """Two arms of three with variances .01 and .04: by hand, (1 + 4)² / (1 / 2 + 16 / 2) = 2.94 degrees of freedom."""
    found = difference([0.4, 0.5, 0.6], [0.1, 0.3, 0.5])
    half = 3.2188 * (0.05 / 3) ** 0.5
    assert found == [0.2, pytest.approx(0.2 - half, abs=1e-3), pytest.approx(0.2 + half, abs=1e-3)]


def test_the_seeds_that_show_a_difference() -> None:
    """A textbook's 16 for each arm, for one standard deviation at a power of 80 %."""
    assert seeds_needed(0.02, 0.02) == 16
    assert seeds_needed(0.02, 0.04) == 4
