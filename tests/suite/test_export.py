"""`sveb suite export`: every state's prefix with its mean and standard error, in the formats that trainers read."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.suite.export import STEP_MARK, export
from sveb.suite.suite import Suite


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.open()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_parquet_has_a_row_for_each_state_with_its_truth(suite: Suite, tmp_path: Path) -> None:
    assert export(suite, "parquet", tmp_path / "a.parquet") == len(suite.states)
    found = pd.read_parquet(tmp_path / "a.parquet").set_index("state_id")
    truth = suite.table("truth").to_pandas().set_index("state_id").loc[found.index]
    assert found["value"].tolist() == truth["value_mean"].tolist()
    assert found["se"].tolist() == truth["value_se"].tolist()
    assert found["prefix"].tolist() == suite.states.loc[found.index, "text"].tolist()


def test_a_value_head_reads_prompt_and_prefix(suite: Suite, tmp_path: Path) -> None:
    export(suite, "value-head", tmp_path / "a.jsonl")
    state, row = suite.states.iloc[1], lines(tmp_path / "a.jsonl")[1]
    prompt = suite.problems.loc[state["problem_id"], "prompt_token_ids"]
    assert row["input_ids"] == [*prompt, *state["token_ids"]]


def test_the_steps_of_a_rollout_join_to_its_last_state(suite: Suite, tmp_path: Path) -> None:
    export(suite, "prm", tmp_path / "a.jsonl")
    export(suite, "math-shepherd", tmp_path / "b.jsonl")
    paths = suite.states[suite.states["kind"] == "path"].sort_values("n_tokens")
    values = suite.table("truth").to_pandas().set_index("state_id")["value_mean"]
    rollouts = list(suite.states[suite.states["kind"] == "path"]["rollout_id"].drop_duplicates())
    for name, prm, shepherd in zip(rollouts, lines(tmp_path / "a.jsonl"), lines(tmp_path / "b.jsonl"), strict=True):
        mine = paths[paths["rollout_id"] == name]
        assert "".join(prm["completions"]) == mine.iloc[-1]["text"]  # type: ignore[arg-type]
        assert prm["labels"] == values.loc[mine["state_id"]].tolist()
        signs = ["+" if value > 0 else "-" for value in prm["labels"]]  # type: ignore[attr-defined]
        assert str(shepherd["input"]).count(STEP_MARK) == len(signs)
        expected = "".join(f"{step} {sign}" for step, sign in zip(prm["completions"], signs, strict=True))  # type: ignore[call-overload]
        assert shepherd["label"] == f"{prm['prompt']} {expected}"


def test_a_file_that_exists_and_an_unknown_format_are_refused(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("mine")
    with pytest.raises(SvebError, match="exists: choose another file"):
        export(suite, "prm", tmp_path / "a.jsonl")
    with pytest.raises(SvebError, match="unknown format of an export 'prn'"):
        export(suite, "prn", tmp_path / "b.jsonl")


def test_the_command_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["suite", "export", "--as", "value-head"])
    assert made.exit_code == 0, made.output
    assert (tmp_path / "ledger-nano-value-head.jsonl").is_file()
