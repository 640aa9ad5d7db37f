"""`sveb generate --from-rollouts`: a trainer's groups stay what estimators see, and only the rest is sampled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.generate.generation import settings_for
from sveb.generate.importers.rollout_import import RolloutDump, import_rollouts
from sveb.generate.pipeline import generate
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from tests.support import dumps
from tests.support.needs import require_package

COUNTS = {"probes": 2, "path_states": 2, "sibling_parents": 1, "siblings": 2, "continuations": 4, "draws": 2}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollouts")
    rollouts = dumps.sampled(problems=4)
    dumps.open_instruct(folder / "dump", rollouts)
    # One reward that is not the task's grade.
    path = folder / "dump/run_rollouts_000000.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["reward"] = 0.5
    dumps.write_lines(path, rows)
    return import_rollouts(RolloutDump(folder / "dump", "open-instruct", "nano", "ledger", folder / "imported"))[0]


def generated(imported: Path, out: Path, **options: Any) -> Suite:
    counts = COUNTS | {"test_problems": 3, "train_problems": 1}
    settings = settings_for(
        "nano", out=out, size="demo", counts=counts, engine="transformers", from_rollouts=imported, **options
    )
    return Suite.open(generate(settings))


@pytest.mark.slow
def test_the_imported_groups_are_the_context_and_states_are_cut_from_new_probes(imported: Path, tmp_path: Path) -> None:
    source, suite = Suite.open(imported), generated(imported, tmp_path / "suite")
    assert verify(suite) == []
    given = source.rollouts().groupby("problem_id")["return_"].apply(list).to_dict()
    context = suite.rollouts("context").groupby("problem_id")["return_"].apply(list).to_dict()
    train = suite.rollouts("train").groupby("problem_id")["return_"].apply(list).to_dict()
    assert len(context) == 3
    assert context | train == given
    probes = suite.rollouts("probe")
    assert len(probes) == 6
    assert set(suite.states["rollout_id"].dropna()) <= set(probes["rollout_id"])
    assert suite.manifest.generation["given"] == {"rollouts": 16, "graded_otherwise": 1}
    assert suite.manifest.notes["rollouts"]["checksum"] == source.checksum
    assert suite.manifest.notes["import"] == source.manifest.notes["import"]


@pytest.mark.slow
def test_problems_without_answers_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"{r.question}\n", "response": r.response, "reward": r.reward, "answer": r.answer if r.group else ""}
        for r in dumps.sampled(problems=4)
    ]
    dumps.write_lines(tmp_path / "dump/a.jsonl", rows)
    import_rollouts(RolloutDump(tmp_path / "dump", "jsonl", "nano", "ledger", tmp_path / "imported"))
    with pytest.raises(SvebError, match=r"contains 3 problems that task ledger can grade, 4 .*--data FILE"):
        generate(settings_for("nano", out=tmp_path / "a", from_rollouts=tmp_path / "imported", engine="transformers"))
    assert not (tmp_path / "a").exists()
    options = {"size": "demo", "engine": "transformers", "counts": COUNTS | {"test_problems": 3, "train_problems": 0}}
    made = generate(settings_for("nano", out=tmp_path / "b", from_rollouts=tmp_path / "imported", **options))
    assert Suite.open(made).manifest.task["dataset"]["left_out"] == {"unusable": 1}


def test_options_that_contradict_the_import_are_refused(imported: Path, tmp_path: Path) -> None:
    def refused(message: str, **options: Any) -> None:
        with pytest.raises(SvebError, match=message):
            settings_for("nano", out=tmp_path / "out", from_rollouts=imported, **options)

    refused("the imported groups have 4", counts={"group": 8})
    refused("contains 4 problems; 5 for test and 0 for training", counts={"test_problems": 5})
    refused("--from-rollouts and --tiers", tiers="0:1:3")
    refused("--from-rollouts and --sample", sample=True)
    with pytest.raises(SvebError, match="is a suite with states"):
        settings_for("nano", out=tmp_path / "out", from_rollouts=Suite.open().path)
    other = settings_for("nano-early", out=tmp_path / "out", from_rollouts=imported, engine="transformers")
    with pytest.raises(SvebError, match="nano-early has other weights"):
        generate(other)


@pytest.mark.slow
def test_a_real_trl_run_is_imported_continued_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GRPO on the embedded policy on the CPU, with TRL's own completions log and checkpoint."""
    require_package("trl")
    monkeypatch.chdir(tmp_path)
    script = Path(__file__).parent.parent / "support" / "train_with_trl.py"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parent.parent.parent)}
    subprocess.run([sys.executable, script, tmp_path / "run"], check=True, env=environment, capture_output=True)
    runner, checkpoint = CliRunner(), "run/checkpoint-2"
    for command in (
        f"import-rollouts run/completions --format trl --model {checkpoint} --task ledger --data run/problems.jsonl "
        "--max-new-tokens 64 --out imported",
        f"generate --model {checkpoint} --task ledger --from-rollouts imported --engine transformers --probes 2 "
        "--path-states 2 --siblings 0 --continuations 4 --draws 0 --out suite",
        "eval group_mean --suite suite",
    ):
        done = runner.invoke(app, command.split())
        assert done.exit_code == 0, done.output
    suite = Suite.open(tmp_path / "suite")
    assert verify(suite) == []
    assert suite.manifest.notes["import"]["step"] == 2
    assert suite.rollouts("context").groupby("problem_id").size().tolist() == [4, 4]
    assert suite.manifest.generation["given"] == {"rollouts": 8, "graded_otherwise": 0}
    assert (tmp_path / "runs/suite/group_mean/results.json").is_file()
