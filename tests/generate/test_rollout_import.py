"""`sveb import-rollouts`: one set of rollouts in every trainer's layout, and what can be wrong with a dump."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.generate.importers.findings import Findings
from sveb.generate.importers.rollout_import import RETOKENISED, RolloutDump, import_rollouts
from sveb.policies.models import fetch_weights
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from tests.support import dumps
from tests.support.dumps import STEP, WRITERS, Sampled

EXACT = ("open-instruct", "prime-rl", "slime", "jsonl")


@pytest.fixture(scope="module")
def rollouts() -> list[Sampled]:
    return dumps.sampled()


def imported(folder: Path, form: str, out: Path, **options: Any) -> tuple[Suite, Findings]:
    made, findings = import_rollouts(RolloutDump(folder, form, "nano", "ledger", out, **options))
    return Suite.open(made), findings


@pytest.mark.parametrize("form", WRITERS)
def test_every_layout_gives_the_same_problems_and_groups(form: str, rollouts: list[Sampled], tmp_path: Path) -> None:
    WRITERS[form](tmp_path / "dump", rollouts)
    suite, _ = imported(tmp_path / "dump", form, tmp_path / "out")
    assert verify(suite) == []
    problems = suite.problems
    assert problems["question"].tolist() == list(dict.fromkeys(r.question for r in rollouts))
    assert problems["answer"].tolist() == [r.answer for r in rollouts[::4]]
    assert [ids.tolist() for ids in problems["prompt_token_ids"]] == [r.prompt_ids for r in rollouts[::4]]
    found = suite.rollouts("context")
    assert found["text"].tolist() == [r.response for r in rollouts]
    assert found["return_"].tolist() == [r.reward for r in rollouts]
    assert found.groupby("problem_id", sort=False).size().tolist() == [4, 4, 4]
    assert suite.manifest.notes["import"]["step"] == STEP
    if form in EXACT:
        assert [ids.tolist() for ids in found["token_ids"]] == [r.response_ids for r in rollouts]
        assert found["finish_reason"].tolist() == [r.finish for r in rollouts]
        assert "tokens" not in suite.manifest.notes
    else:
        assert suite.manifest.notes["tokens"] == RETOKENISED


def test_a_dump_without_answers_gets_them_from_the_problems(rollouts: list[Sampled], tmp_path: Path) -> None:
    dumps.write_lines(
        tmp_path / "dump/rollouts.jsonl",
        [{"prompt": f"{r.question}\n", "response": r.response, "reward": r.reward} for r in rollouts],
    )
    known = dumps.write_lines(
        tmp_path / "known.jsonl", [{"question": r.question, "answer": r.answer} for r in rollouts[::4]]
    )
    without, findings = imported(tmp_path / "dump", "jsonl", tmp_path / "without")
    assert without.problems["answer"].tolist() == ["", "", ""]
    assert len(findings.warnings["no reference answer: give the problems with --data"]) == 3
    suite, findings = imported(tmp_path / "dump", "jsonl", tmp_path / "with", data=known)
    assert suite.problems["answer"].tolist() == [r.answer for r in rollouts[::4]]
    assert not any("answer" in what for what in findings.warnings)


def test_a_chat_prompt_that_lost_its_special_tokens_is_rendered_again(tmp_path: Path) -> None:
    """verl decodes prompts without special tokens: `user`, the question, `assistant` are what is left."""
    model = dumps.chat_model(tmp_path / "chat")
    rows = [
        {"input": text, "output": "7\n#### 7", "gts": "7", "score": 1.0, "step": 1}
        for text in ("user\nWhat is 3 + 4?\n\nassistant\n", "system\nBe brief.\nuser\nWhat is 7?\nassistant\n")
    ]
    dumps.write_lines(tmp_path / "dump/1.jsonl", rows)
    out = tmp_path / "out"
    _, findings = import_rollouts(RolloutDump(tmp_path / "dump", "verl", str(model), "ledger", out))
    suite = Suite.open(out)
    decode = dumps_codec(model).decode
    first, second = suite.problems["prompt_token_ids"].tolist()
    assert suite.problems["question"].tolist()[0] == "What is 3 + 4?"
    assert decode(first) == "<|start|>user\nWhat is 3 + 4?\n<|end|>\n<|start|>assistant\n"
    assert decode(second) == rows[1]["input"], "no template gives it: as it stands"
    assert findings.warnings["a prompt that no template of the task or the model gives: tokenised as it stands"] == [
        "1.jsonl, line 2"
    ]


def dumps_codec(model: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(model)


def test_the_extra_rollouts_of_the_authors_are_groups_under_the_releases_prompts(tmp_path: Path) -> None:
    records = [
        {"problem": "What is 3 + 4?", "solution": "7", "verifier": "math", "id": 0,
         "correct_responses": ["7", "So 7"], "wrong_responses": ["8"]},
        {"problem": "Print 1.", "solution": [["", "1"]], "verifier": "code", "id": 1,
         "correct_responses": [], "wrong_responses": ["print(2)"]},
    ]  # fmt: skip
    path = tmp_path / "DAPO-17K/3B/sampled/sample_20.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(records))
    suite, findings = imported(tmp_path, "hista", tmp_path / "out")
    assert verify(suite) == []
    assert suite.problems["question"].tolist() == ["What is 3 + 4?", "Print 1."]
    assert suite.problems["answer"].tolist() == ["7", '["", "1"]']
    decode = dumps_codec(fetch_weights("package:nano").folder).decode
    prompts = [decode(ids) for ids in suite.problems["prompt_token_ids"]]
    assert [prompt.endswith(end) for prompt, end in zip(prompts, ("3 + 4", "1"), strict=True)]
    assert len(prompts[0]) > 100, "the release's system prompt"
    found = suite.rollouts("context")
    assert found.groupby("problem_id", sort=False)["return_"].apply(list).tolist() == [[1.0, 1.0, 0.0], [0.0]]
    assert "a group that has not 3 rollouts, as most have" in findings.warnings
    path.write_text(json.dumps([records[0] | {"wrong_responses": "8"}]))
    with pytest.raises(SvebError, match=r"sample_20.json, record 1: wrong_responses is '8': expected a list"):
        imported(tmp_path, "hista", tmp_path / "none")
    path.write_text("{}")
    with pytest.raises(SvebError, match=r"sample_20.json contains a dict: expected a list of problems"):
        imported(tmp_path, "hista", tmp_path / "none")


def test_only_the_last_step_is_imported_unless_another_is_asked_for(rollouts: list[Sampled], tmp_path: Path) -> None:
    for step in (3, 12):
        rows = [
            {"input": f"{r.question}\n", "output": r.response, "gts": r.answer, "score": r.reward, "step": step}
            for r in rollouts[:step]
        ]
        dumps.write_lines(tmp_path / f"dump/{step}.jsonl", rows)
    last, findings = imported(tmp_path / "dump", "verl", tmp_path / "last")
    assert (len(last.rollouts()), list(last.manifest.notes["import"]["files"])) == (12, ["12.jsonl"])
    assert findings.warnings["other steps, of other policies: only step 12 is imported"] == ["step 3"]
    asked, _ = imported(tmp_path / "dump", "verl", tmp_path / "asked", step=3)
    assert len(asked.rollouts()) == 3
    with pytest.raises(SvebError, match="has no step 4: it has the steps 3 to 12"):
        imported(tmp_path / "dump", "verl", tmp_path / "none", step=4)


def test_what_is_only_unusual_is_imported_and_reported(rollouts: list[Sampled], tmp_path: Path) -> None:
    """A resumed run wrote a rollout again, and was killed in the middle of a line."""
    dumps.open_instruct(tmp_path / "dump", rollouts)
    shard = tmp_path / "dump/run_rollouts_000001.jsonl"
    lines = shard.read_text().splitlines()
    again = json.loads(lines[0]) | {"reward": 1.0 - json.loads(lines[0])["reward"]}
    shard.write_text("\n".join([*lines, json.dumps(again), lines[-1][:40]]))
    suite, findings = imported(tmp_path / "dump", "open-instruct", tmp_path / "out")
    found = suite.rollouts()["return_"].tolist()
    assert len(found) == 12
    assert found[5] == again["reward"], "the later row: the step was trained on what was written last"
    assert findings.warnings["the step was written again for this rollout: the later row is kept"] == [
        "run_rollouts_000001.jsonl, line 8"
    ]
    assert findings.warnings["the last line was cut off: left out"] == ["run_rollouts_000001.jsonl, line 9"]
    assert suite.manifest.notes["import"]["warnings"] == findings.counted


def test_rollouts_that_did_not_end_are_left_out(rollouts: list[Sampled], tmp_path: Path) -> None:
    samples = [dumps.sample(r) for r in rollouts]
    samples[0]["status"] = "aborted"
    samples[5]["loss_mask"] = [1, 0]
    (tmp_path / "dump").mkdir()
    torch.save({"rollout_id": 1, "samples": samples}, tmp_path / "dump/1.pt")
    suite, findings = imported(tmp_path / "dump", "slime", tmp_path / "out")
    assert suite.rollouts().groupby("problem_id").size().tolist() == [3, 3, 4]
    assert findings.warnings["status aborted: left out"] == ["1.pt, sample 1"]
    episodes = [dumps.episode(r) for r in rollouts]
    trace = episodes[0]["traces"][0]
    trace["nodes"] += [trace["nodes"][0] | {"parent": 1}, trace["nodes"][1] | {"parent": 2}]
    episodes[1]["ok"] = False
    dumps.write_lines(tmp_path / "prime/step_2/train/all/traces.jsonl", episodes)
    suite, findings = imported(tmp_path / "prime", "prime-rl", tmp_path / "prime-out")
    assert suite.rollouts().groupby("problem_id").size().tolist() == [2, 4, 4]
    assert findings.warnings["several turns or branches: left out"] == ["traces.jsonl, line 1"]


def test_a_missing_reward_is_a_missing_return(rollouts: list[Sampled], tmp_path: Path) -> None:
    rows = [{"prompt": "q\n", "response": r.response, "reward": None if i else -1.0} for i, r in enumerate(rollouts)]
    dumps.write_lines(tmp_path / "dump/a.jsonl", rows)
    suite, findings = imported(tmp_path / "dump", "jsonl", tmp_path / "out", low=-1.0)
    assert suite.rollouts()["return_"].tolist()[0] == 0.0
    assert suite.rollouts()["return_"].isna().sum() == 11
    assert len(findings.warnings["no reward: its return is missing"]) == 11


def changed(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {key: value for key, value in (row | fields).items() if value != "absent"}


@pytest.mark.parametrize(
    ("form", "change", "message"),
    [
        (
            "verl",
            changed(score="absent"),
            "7.jsonl, line 1: the key 'score' is missing; found the keys acc, gts, input",
        ),
        ("verl", changed(step="seven"), "7.jsonl, line 1: step is 'seven': expected a whole number"),
        ("verl", changed(output=None), "7.jsonl, line 1: output is None: expected a text"),
        ("verl", changed(score=-1.0), "7.jsonl, line 1: the reward is -1: expected 0 to 1; .* --reward-range"),
        ("open-instruct", changed(response_tokens=[1, "2"]), r"line 1: response_tokens is \[1, '2'\]: .* token ids"),
        ("prime-rl", changed(traces=None), "traces.jsonl, line 1: traces is None: expected a list"),
        ("jsonl", changed(prompt=3, prompt_ids=None), "prompt is 3: expected a text, or a list of messages"),
    ],
)
def test_a_row_of_another_kind_names_its_file_and_key_and_nothing_is_written(
    form: str, change: Callable[..., Any], message: str, rollouts: list[Sampled], tmp_path: Path
) -> None:
    WRITERS[form](tmp_path / "dump", rollouts)
    path = next(p for p in sorted((tmp_path / "dump").rglob("*.jsonl")) if "metadata" not in p.name)
    dumps.write_lines(path, [change(json.loads(line)) for line in path.read_text().splitlines()])
    with pytest.raises(SvebError, match=message):
        imported(tmp_path / "dump", form, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["dump"]


def test_dumps_that_are_none_are_refused(rollouts: list[Sampled], tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="does not exist"):
        imported(tmp_path / "nothing", "verl", tmp_path / "out")
    with pytest.raises(SvebError, match=r"unknown format 'verll'.*did you mean verl"):
        imported(tmp_path, "verll", tmp_path / "out")
    dumps.trl(tmp_path / "trl", rollouts)
    with pytest.raises(SvebError, match=r"contains no dump of format verl: expected files <step>.jsonl"):
        imported(tmp_path / "trl", "verl", tmp_path / "out")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/1.jsonl").write_text("{\n{}\n")
    with pytest.raises(SvebError, match=r"1.jsonl, line 1 is not valid JSON"):
        imported(tmp_path / "broken", "verl", tmp_path / "out")
    for run in ("a", "b"):
        dumps.verl(tmp_path / "twice" / run, rollouts)
    with pytest.raises(SvebError, match=r"contains step 7 2 times .* name the folder or the file of one run"):
        imported(tmp_path / "twice", "verl", tmp_path / "out")


def test_a_torch_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    torch.save({"rollout_id": 1, "samples": [Sampled]}, tmp_path / "dump/1.pt")
    with pytest.raises(SvebError, match="cannot be read as a torch file that contains only data"):
        imported(tmp_path / "dump", "slime", tmp_path / "out")


def test_the_command_prints_one_line_and_exits_with_2(rollouts: list[Sampled], tmp_path: Path) -> None:
    dumps.verl(tmp_path / "dump", rollouts)
    command = ["import-rollouts", str(tmp_path / "dump"), "--model", "nano", "--out", str(tmp_path / "out")]
    made = CliRunner().invoke(app, [*command, "--format", "verl", "--reward", "acc"])
    assert made.exit_code == 0, made.output
    assert Suite.open(tmp_path / "out").rollouts()["return_"].tolist() == [1.0] * 12
    refused = CliRunner().invoke(app, [*command, "--format", "verl"])
    assert isinstance(refused.exception, SvebError)
    assert "is not empty" in str(refused.exception)
    for text in ("1", "a:b"):
        refused = CliRunner().invoke(app, [*command, "--format", "verl", "--reward-range", text])
        assert "expected LOW:HIGH" in str(refused.exception)
