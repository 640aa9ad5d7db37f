"""`sveb.monitor`: the curve of a value function in training, and the page that draws it."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.monitor import Monitor, to_jsonl, to_tensorboard, to_wandb, trl_callback
from sveb.runs.series import read_series
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site.series_page import write_series
from sveb.suite.suite import EMBEDDED_SUITE, Suite
from tests.support.needs import require_package

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def monitor() -> Monitor:
    return Monitor(every=10)


def position(sequences: list[list[int]]) -> list[float]:
    """The output of a critic whose output at position i is i."""
    return [float(len(tokens) - 1) for tokens in sequences]


def test_the_value_of_a_state_is_read_at_its_last_token(monitor: Monitor) -> None:
    suite = Suite.open()
    prompt = suite.problems.loc[suite.states["problem_id"], "prompt_token_ids"].map(len).to_numpy()
    expected = prompt + suite.states["n_tokens"].to_numpy() - 1
    assert position(monitor.sequences) == expected.tolist()
    first = suite.states.iloc[1]
    whole = [*suite.problems.loc[first["problem_id"], "prompt_token_ids"], *first["token_ids"]]
    assert monitor.sequences[1] == whole


def test_the_group_mean_and_the_truth_are_the_ends_of_the_scale(monitor: Monitor) -> None:
    suite = Suite.open()
    means = suite.states["problem_id"].map(suite.group_means).to_numpy()
    truth = suite.table("truth", ["state_id", "value_mean"]).to_pandas().set_index("state_id")["value_mean"]
    flat = monitor.score(1, lambda _: means)
    assert flat.metrics["skill"].value == 0
    assert flat.metrics["collapse"].value == 0
    assert flat.metrics == flat.group_mean
    best = monitor.score(2, lambda _: truth.loc[suite.states["state_id"]].to_numpy())
    assert best.metrics["skill"].value > 1  # its noise is the truth's own


def test_only_every_nth_step_is_scored(monitor: Monitor) -> None:
    half = lambda sequences: np.full(len(sequences), 0.5)  # noqa: E731
    scored = [step for step in range(1, 31) if monitor.after(step, half) is not None]
    assert scored == [10, 20, 30]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda _: [0.5], r"step 3: expected values of shape \(\d+,\), one for each sequence; found \(1,\)"),
        (lambda s: [float("nan"), *[0.5] * (len(s) - 1)], "step 3: 1 values are not finite"),
        (lambda _: "no numbers", "step 3: expected [0-9]+ numbers"),
    ],
)
def test_values_that_are_none_are_refused(monitor: Monitor, values: Any, message: str) -> None:
    with pytest.raises(SvebError, match=message):
        monitor.score(3, values)


def test_a_misspelt_metric_is_refused() -> None:
    with pytest.raises(SvebError, match="unknown metric 'skil': did you mean skill"):
        Monitor(metrics=["skil"])


def test_loggers_get_finite_numbers_under_one_prefix() -> None:
    """TensorBoard's writer is anything with `add_scalar`, W&B's run anything with `log`."""
    logged: dict[int, dict[str, float]] = {}

    class Run:
        def log(self, values: dict[str, float], step: int) -> None:
            logged[step] = values

        def add_scalar(self, name: str, value: float, step: int) -> None:
            added[name, step] = value

    added: dict[tuple[str, int], float] = {}
    monitor = Monitor(to=[to_wandb(Run()), to_tensorboard(Run())])
    monitor.score(5, lambda sequences: np.full(len(sequences), 0.5))
    assert {"sveb/skill", "sveb/r2_within", "sveb/group_mean/mse"} <= set(logged[5])
    assert np.isfinite(list(logged[5].values())).all()
    assert added == {(name, 5): value for name, value in logged[5].items()}


@pytest.mark.slow
def test_the_example_trains_a_critic_whose_curve_rises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["monitor_critic.py", "20", "20", "critic.jsonl"])
    runpy.run_path(str(ROOT / "examples" / "monitor_critic.py"))
    points = read_series(tmp_path / "critic.jsonl")
    assert [point.step for point in points] == [0, 20]
    assert points[-1].metrics["mse"].value < points[0].metrics["mse"].value
    assert points[0].suite == EMBEDDED_SUITE
    made = CliRunner().invoke(app, ["report", "critic.jsonl", "--series"])
    assert made.exit_code == 0, made.output
    page = (tmp_path / "critic.html").read_text()
    for part in ("Skill over training steps.", "R2 within problems over training steps.", "group mean"):
        assert part in page


@pytest.mark.slow
def test_the_callback_scores_the_model_of_a_trainer(tmp_path: Path) -> None:
    """A real Trainer of transformers, the base of TRL's, on one embedded-policy classifier."""
    require_package("accelerate")
    import torch
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    from sveb.policies.models import fetch_weights

    monitor = Monitor(every=2, to=[to_jsonl(tmp_path / "curve.jsonl")])

    def values_of(model: Any) -> Any:
        bias = float(next(p for n, p in model.named_parameters() if "score" in n).detach().mean())
        return lambda sequences: np.full(len(sequences), bias)

    model = AutoModelForSequenceClassification.from_pretrained(
        fetch_weights("package:nano").folder, num_labels=1, pad_token_id=1
    )
    data = [{"input_ids": torch.tensor([5, 6, 7]), "labels": torch.tensor(1.0)} for _ in range(8)]
    settings = TrainingArguments(
        str(tmp_path / "run"), max_steps=4, per_device_train_batch_size=2, report_to=[], use_cpu=True, save_steps=100,
        disable_tqdm=True,
    )  # fmt: skip
    Trainer(model, settings, train_dataset=data, callbacks=[trl_callback(monitor, values_of)]).train()
    assert [point.step for point in read_series(tmp_path / "curve.jsonl")] == [2, 4]
    first, second = monitor.points
    assert first.metrics["mse"].value != second.metrics["mse"].value


def test_a_curve_is_read_back_and_a_resumed_step_counts_once(monitor: Monitor, tmp_path: Path) -> None:
    write = to_jsonl(tmp_path / "curve.jsonl")
    for step, value in ((1, 0.1), (2, 0.2), (2, 0.4)):
        write(monitor.score(step, lambda sequences, v=value: [v] * len(sequences)))  # type: ignore[misc]
    path = tmp_path / "curve.jsonl"
    path.write_text(path.read_text() + '{"step": 3, "sui')
    points = read_series(path)
    assert [point.step for point in points] == [1, 2]
    assert points[1].metrics["mse"] == monitor.points[-1].metrics["mse"]
    path.write_text('{"step": 1}\n' + path.read_text())
    with pytest.raises(SvebError, match=r"curve.jsonl, line 1 is not a point of a curve \(KeyError"):
        read_series(path)
    with pytest.raises(SvebError, match="does not exist"):
        read_series(tmp_path / "none.jsonl")
    lines = [json.loads(line) | {"checksum": str(n)} for n, line in enumerate(path.read_text().splitlines()[1:3])]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(SvebError, match="scores on several suites"):
        read_series(path)


def test_the_page_shows_explained_variance_below_its_ceiling(monitor: Monitor, tmp_path: Path) -> None:
    write_series([monitor.score(1, lambda sequences: [0.5] * len(sequences))], "critic", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "ceiling: V itself" in page
    assert CATALOGUE["explained_variance"].title in page
    assert CATALOGUE["explained_variance_ceiling"].title not in page


@pytest.mark.parametrize("name", ["monitor_verl.py", "monitor_openrlhf.py"])
def test_the_recipes_for_trainers_are_whole_modules(name: str) -> None:
    """scripts/load_exported_critics.py runs them with the trainers' own code."""
    (code,) = re.findall(rf"```python\n(# {name}\n.*?)```", (ROOT / "docs/monitor.md").read_text(), re.DOTALL)
    assert "critic_values" in compile(code, name, "exec").co_names
