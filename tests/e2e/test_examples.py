"""The examples and the guide that leads through them: whatever a newcomer copies works, and keeps the contract."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.harness.conformance.verdicts import FIXES
from sveb.runs.predictions import Predictions
from sveb.suite.suite import EMBEDDED_SUITE
from tests.support.suites import as_embedded

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "write-an-estimator.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"```(python|bash)\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def folder(tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A newcomer's folder: the examples, and a small suite under the embedded one's name, which is found first."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    as_embedded(tiny_suite, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sveb(line: str) -> str:
    """What a command prints; it must end well."""
    done = CliRunner().invoke(app, shlex.split(line)[1:])
    assert done.exit_code == 0, (line, done.output, done.exception)
    return done.output


@pytest.mark.slow
def test_the_guide_works_from_top_to_bottom(folder: Path) -> None:
    for language, block in BLOCKS:
        if language == "python":
            name = block.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block)
            continue
        for line in block.splitlines():
            if "--sandbox" in line and shutil.which("bwrap") is None:
                continue
            sveb(line)
    assert (folder / "site" / "index.html").exists()
    assert len(list((folder / "submissions").iterdir())) == 1


@pytest.mark.slow
def test_the_commands_about_critics_can_be_pasted(folder: Path) -> None:
    for line in re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "critics.md").read_text(), re.DOTALL)[0].splitlines():
        sveb(line)
    critic, checkpoint = (
        Predictions.read(folder / "runs" / EMBEDDED_SUITE / name / "predictions.parquet").values
        for name in ("critic-epochs=1", "critic_checkpoint-path=critic-verl")
    )
    np.testing.assert_allclose(checkpoint, critic, atol=1e-5)


def test_the_guide_names_every_check_and_no_other() -> None:
    table = GUIDE.split("## Common mistakes")[1].split("\n## ")[0]
    named = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("|")]
    assert named[2:] == list(FIXES)


@pytest.mark.usefixtures("folder")
def test_the_help_of_check_can_be_pasted() -> None:
    lines = [line.strip() for line in sveb("sveb check --help").splitlines() if line.strip().startswith("sveb check ")]
    assert len(lines) == 3
    for line in lines:
        assert f"all {len(FIXES)} checks passed" in sveb(line)


@pytest.mark.parametrize("name", ["function_estimator", "my_estimator"])
@pytest.mark.usefixtures("folder")
def test_an_example_keeps_the_contract_and_is_scored(name: str) -> None:
    assert f"all {len(FIXES)} checks passed" in sveb(f"sveb check examples/{name}.py")
    assert name in sveb(f"sveb eval examples/{name}.py --no-baselines")


@pytest.mark.slow
def test_the_example_that_asks_another_model_works_with_a_real_server(folder: Path, nano_server: str) -> None:
    options = f"examples/external_model_estimator.py --set url={nano_server} --set model=nano"
    assert f"all {len(FIXES)} checks passed" in sveb(f"sveb check {options}")
    sveb(f"sveb eval {options} --no-baselines")
    (run,) = (folder / "runs" / EMBEDDED_SUITE).iterdir()
    predictions = Predictions.read(run / "predictions.parquet")
    assert predictions.info.budget == ["external_model"]
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()


@pytest.mark.slow
def test_the_notebook_runs_from_generation_to_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # Two live vLLM engines in one process break each other, and this process may hold one.
    monkeypatch.setattr("sveb.generate.pipeline.choose_engine", lambda *_, **__: "transformers")
    runpy.run_path(str(ROOT / "examples" / "from_python.py"))
    told = capsys.readouterr().out
    runs = tmp_path / "runs" / "from-python"
    assert {path.name for path in runs.iterdir()} == {"mc-k=4", "my_estimator-strength=0.2"}
    for shown in ("from-python 1.0.0", "skill", "rank_low", "mse_difference_high"):
        assert shown in told


def test_every_example_is_run_by_a_test() -> None:
    commands = "\n".join(block for language, block in BLOCKS if language == "bash")
    for path in (ROOT / "examples").glob("*.py"):
        elsewhere = path.stem in (
            "function_estimator",
            "my_estimator",
            "external_model_estimator",
            "from_python",
            "monitor_critic",
            "train_with_estimator",
        )
        for verb in ("check", "eval"):
            assert elsewhere or f"sveb {verb} examples/{path.name}" in commands
