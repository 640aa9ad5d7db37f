"""The plan's arithmetic: what a run is said to cost, and what it then costs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sveb.common.errors import SvebError
from sveb.generate.cost import Forecast
from sveb.generate.forecast import gpu_tokens_per_s
from sveb.generate.generation import Settings
from sveb.generate.pipeline import dry_run, generate
from sveb.generate.plan import counts_for
from sveb.generate.reporter import SilentReporter
from sveb.generate.trial import mean_length
from sveb.policies.policy import Completion
from sveb.suite.suite import Suite


class Listening(SilentReporter):
    """Keeps the forecast that a run begins with."""

    expected: Forecast | None = None

    def forecast(self, expected: Forecast) -> None:
        self.expected = expected


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial ends when its rollouts have, however slow this machine is."""
    monkeypatch.setattr("sveb.generate.trial._SECONDS", math.inf)


@pytest.mark.slow
@pytest.mark.usefixtures("unhurried")
def test_a_run_samples_about_what_its_plan_said_and_fits_on_the_disk_that_it_named(tmp_path: Path) -> None:
    counts = counts_for(
        "demo",
        {"test_problems": 16, "train_problems": 4, "group": 8, "train_group": 4, "probes": 2, "path_states": 4,
         "sibling_parents": 1, "siblings": 3, "continuations": 2, "draws": 1, "audit": 1},
    )  # fmt: skip
    reporter = Listening()
    # Of 16 problems: a seed whose probe rollouts are unusually long takes up to 1.25 times the forecast.
    settings = Settings(model="nano", out=tmp_path / "suite", counts=counts, engine="transformers", seed=1)
    suite = Suite.open(generate(settings, reporter))
    expected = reporter.expected
    assert expected is not None
    # Alternative steps that are the same are merged, so there are fewer states than planned; never more.
    assert 0.6 * expected.states < len(suite.states) <= 1.1 * expected.states
    assert 0.6 < suite.manifest.generation["tokens_sampled"] / expected.tokens < 1.2
    low, high = expected.tokens_between
    assert 0.5 * expected.tokens < low < expected.tokens < high < 2 * expected.tokens
    tables = sum(named["bytes"] for named in suite.manifest.files.values())
    assert 0.2 < expected.bytes_on_disk / tables < 5
    assert expected.seconds_on(8) == pytest.approx(expected.seconds_on(1) / 8)


@pytest.mark.usefixtures("unhurried")
def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    counts = counts_for("demo", {"test_problems": 2, "train_problems": 0})
    expected = dry_run(
        Settings(model="nano", out=tmp_path / "suite", counts=counts, engine="transformers"), SilentReporter()
    )
    assert expected.trial.rollouts == expected.trial.ended == 16
    assert [stage.name for stage in expected.stages] == ["rollouts", "siblings", "truth", "draws", "audit"]
    assert list(tmp_path.iterdir()) == []


def test_a_trial_without_time_for_an_end_says_what_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sveb.generate.trial._SECONDS", 0.0)
    settings = Settings("nano", tmp_path / "suite", counts_for("demo", {}), engine="transformers", max_new_tokens=150)
    trial = dry_run(settings, SilentReporter()).trial
    assert (trial.rollouts, trial.ended) == (4, 0)
    assert (trial.length_low, trial.length_high) == (8, 150)
    assert 8 < trial.length < 150


def test_the_mean_length_counts_what_the_unfinished_may_still_need() -> None:
    # Two problems with mean lengths 20 and 40: 30, and twice the standard error 10.
    assert mean_length([0, 0, 1, 1], [10, 30, 40, 40], [True] * 4, 100) == pytest.approx((10, 30, 50))
    # One of two has 60 tokens so far; one end in 100 tokens, so 100 more are expected, cut at 40 by the budget.
    low, length, high = mean_length([0, 0], [40, 60], [True, False], 100)
    expected = 60 + 100 * (1 - math.exp(-0.4))
    assert length == pytest.approx((40 + expected) / 2)
    assert low == pytest.approx(max(50 - (expected - 40), 1))
    assert high == pytest.approx(min(70 + (expected - 40), 100))
    # No end was seen: anything up to the budget.
    assert mean_length([0], [8], [False], 100)[::2] == (1, 100)


@pytest.mark.parametrize("make", [dry_run, generate])
def test_an_engine_that_fails_at_its_first_batch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Settings, SilentReporter], object]
) -> None:
    def sample(*_: object) -> Iterator[Completion]:
        raise RuntimeError("CUDA out of memory\nmore of it")
        yield

    monkeypatch.setattr("sveb.policies.transformers_engine.TransformersPolicy.sample", sample)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    settings = Settings("nano", tmp_path / "suite", counts_for("demo", {}), engine="transformers")
    with pytest.raises(SvebError, match=r"failed in stage measure \(RuntimeError: CUDA out of memory\)") as caught:
        make(settings, SilentReporter())
    log = Path(str(caught.value).rpartition("the traceback is in ")[2])
    assert "more of it" in log.read_text()
    assert log.is_relative_to(tmp_path / ("temporary" if make is dry_run else "suite"))
    assert settings.out.exists() == (make is generate)


def test_the_gpu_estimate_is_the_arithmetic_of_the_scaling_guide(tmp_path: Path) -> None:
    config = {"hidden_size": 512, "num_attention_heads": 8, "num_key_value_heads": 2, "num_hidden_layers": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"a": np.zeros((1000, 500), np.float16), "b": np.zeros(250_000, np.float16)}, tmp_path / "x.safetensors")
    parameters, cache = 750_000, 2 * 2 * 4 * 2 * 64
    step = 0.004 + (2 * parameters + 512 * 300 * cache) / (0.6 * 4.8e12) + 2 * parameters * 512 / (0.6 * 989e12)
    assert gpu_tokens_per_s(tmp_path, 300) == pytest.approx(512 / step)
