"""A critic that is trained here, written for each trainer, and scored from there: the same values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sveb.api import export_critic
from sveb.common.errors import SvebError
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite
from tests.e2e.conftest import Sveb
from tests.support.suites import tiny


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return tiny(tmp_path_factory.mktemp("suite") / "tiny")


@pytest.fixture(scope="module")
def once(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "critic"
    run(suite, "critic", {"epochs": "1", "lr": "1e-3"}, folder, scratch=folder / "scratch")
    return folder


@pytest.fixture
def trained(once: Path, tmp_path: Path) -> Path:
    """The run of a trained critic, a copy for each test."""
    return shutil.copytree(once, tmp_path / "runs" / "critic")


def test_a_critic_has_the_same_values_from_every_trainers_checkpoint(
    suite: Suite, trained: Path, tmp_path: Path
) -> None:
    expected = Predictions.read(trained / "predictions.parquet").values
    assert np.ptp(expected) > 1e-3
    for to in ("verl", "openrlhf", "trl"):
        written = export_critic(trained, to, suite=str(suite.path))
        assert written.folder == trained / to
        assert ("shift" in written.settings) == (to != "verl")
        found = Predictions.read(run(suite, "critic_checkpoint", written.settings, tmp_path / to)).values
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_trainers_classes_load_what_is_written(suite: Suite, trained: Path) -> None:
    """verl and TRL load their critics with these classes of transformers; no weight is new."""
    import transformers

    for to, kind in (
        ("verl", transformers.AutoModelForTokenClassification),
        ("trl", transformers.AutoModelForSequenceClassification),
    ):
        folder = export_critic(trained, to, suite=str(suite.path)).folder
        model, told = kind.from_pretrained(folder, output_loading_info=True)
        assert not told["missing_keys"]
        assert not told["unexpected_keys"]
        assert model.config.num_labels == 1


def test_what_cannot_be_written_is_told(suite: Suite, trained: Path) -> None:
    with pytest.raises(SvebError, match="unknown trainer 'verll': did you mean verl"):
        export_critic(trained, "verll", suite=str(suite.path))
    export_critic(trained, "verl", suite=str(suite.path))
    with pytest.raises(SvebError, match="verl exists: choose another folder with --out"):
        export_critic(trained, "verl", suite=str(suite.path))
    told = trained / "scratch" / "critic.json"
    settings = json.loads(told.read_text())
    settings["settings"]["loss"] = "hlgauss"
    told.write_text(json.dumps(settings))
    with pytest.raises(SvebError, match="has a histogram as its head, and trl a number"):
        export_critic(trained, "trl", suite=str(suite.path))
    assert not (trained / "trl").exists()


def test_the_commands_say_what_to_do_next_and_what_is_wrong(sveb: Sveb, suite: Suite, trained: Path) -> None:
    done = sveb("critic", "export", trained, "--to", "openrlhf", "--suite", suite.path, folder=trained)
    assert done.returncode == 0
    assert f"sveb eval critic_checkpoint --set path={trained / 'openrlhf'} --set shift=" in done.stdout
    (trained / "openrlhf" / "config.json").unlink()
    wrong = sveb(
        "eval", "critic_checkpoint", "--set", f"path={trained / 'openrlhf'}", "--suite", suite.path, folder=trained
    )
    assert wrong.returncode == 2
    assert "has no config.json: say where the model's is with --set base=FOLDER" in wrong.stderr
    assert "Traceback" not in wrong.stderr
