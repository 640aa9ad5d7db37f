"""The authors' JSON: what it becomes, and everything that can be wrong with it, told with the records' numbers."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.generate.importers.hista_archive import import_hista
from sveb.generate.importers.hista_prompts import prompt_messages
from sveb.generate.importers.hista_records import listed, read_records
from sveb.harness.visible_inputs import Inputs
from sveb.policies.engines import load_codec
from sveb.score.truth import read_truth
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

RECORDS = Path(__file__).parent / "data" / "hista_records.json"
Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    folder, warnings = import_hista(RECORDS, "nano", tmp_path_factory.mktemp("imported") / "authors")
    assert warnings == {}
    return Suite.open(folder)


def test_states_groups_and_truth_are_the_records(imported: Suite) -> None:
    assert verify(imported) == []
    codec, records = load_codec("nano"), json.loads(RECORDS.read_text())
    states = imported.states
    truth = imported.table("truth").to_pandas().set_index("state_id")
    for (state_id, state), record in zip(states.iterrows(), records, strict=True):
        group = imported.rollouts("context").set_index("rollout_id")
        mine = group[group["problem_id"] == state["problem_id"]]
        returns = [1.0] * len(record["correct_responses"]) + [0.0] * len(record["wrong_responses"])
        assert mine["text"].tolist() == record["correct_responses"] + record["wrong_responses"]
        assert mine["return_"].tolist() == returns
        assert mine.loc[state["rollout_id"], "text"] == record["response"]
        assert state["text"] == record["sampled_response"]
        assert state["token_ids"].tolist() == codec.encode(record["sampled_response"])
        g = record["unbiased_state_value"]
        assert truth.loc[state_id, "value_mean"] == g
        assert truth.loc[state_id, "value_se"] == pytest.approx(math.sqrt(g * (1 - g) / 19))
        assert truth.loc[state_id, "n_continuations"] == 20


@pytest.mark.parametrize(
    ("verifier", "system", "roles", "part"),
    [
        ("math", None, ["system", "user"], "encloses its final answer in \\boxed{}."),
        ("code", None, ["system", "user"], "triple backticks ```python\n...\n```."),
        ("code", "Be brief.", ["system", "user"], "Be brief."),
        ("math", "", ["user"], "?\nPlease reason step by step and put your final answer within \\boxed{}."),
    ],
)
def test_the_prompt_is_one_of_the_release(verifier: str, system: str | None, roles: list[str], part: str) -> None:
    messages = prompt_messages("Why?", verifier, system)
    assert [message["role"] for message in messages] == roles
    assert part in messages[0]["content"]


def test_scoring_knows_mean_and_count_alone(imported: Suite) -> None:
    truth = read_truth(imported)
    assert truth.mean.tolist() == [0.95, 0.35, 1.0, 0.2]
    assert truth.noise.tolist() == pytest.approx([0.95 * 0.05 / 19, 0.35 * 0.65 / 19, 0.0, 0.2 * 0.8 / 19])
    assert truth.binary


def test_estimators_see_the_scored_response(imported: Suite) -> None:
    inputs = Inputs(imported, 0)
    for index in range(4):
        rows = inputs.state_rows[index]
        (own,) = inputs.own_rollouts(index, rows)
        _, (text,), _, _ = inputs.states(rows)
        assert inputs.rollouts("test", index).texts[own].startswith(text)


def test_the_commands_evaluate_and_score_what_was_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    made = runner.invoke(app, ["import-hista", str(RECORDS), "--model", "nano", "--out", "authors"])
    assert made.exit_code == 0, made.output
    assert "protocol" in made.output
    for command in (["eval", "group_mean", "--suite", "authors"], ["score", "runs/authors/group_mean"]):
        done = runner.invoke(app, command)
        assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "runs/authors/group_mean/results.json").read_text())["metrics"]
    errors = [0.5 - 0.95, 0.25 - 0.35, 0.75 - 1.0, 0.25 - 0.2]
    assert metrics["mae_raw"]["value"] == pytest.approx(sum(map(abs, errors)) / 4, abs=1e-5)
    noise = (0.95 * 0.05 + 0.35 * 0.65 + 0.2 * 0.8) / 19 / 4
    assert metrics["mse"]["value"] == pytest.approx(sum(e * e for e in errors) / 4 - noise, abs=1e-5)


def changed(tmp_path: Path, change: Callable[[Records], object]) -> Path:
    records: Records = json.loads(RECORDS.read_text())
    change(records)
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records))
    return path


def put(place: int, **fields: object) -> Callable[[Records], object]:
    return lambda records: records[place].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(1, sampled_response="Something else"), "sampled_response is not a prefix of response: record 2"),
        (put(2, output_reward=1.5), r"output_reward is not a number in \[0, 1\]: record 3"),
        (put(0, unbiased_state_value=float("nan")), r"unbiased_state_value is not a number in \[0, 1\]: record 1"),
        (put(0, unbiased_state_value=True), r"unbiased_state_value is not a number"),
        (put(3, problem="  "), "problem is empty: record 4"),
        (put(3, correct_responses=[], wrong_responses=[]), "there are no responses.*: record 4"),
        (put(0, correct_responses="88"), "correct_responses is not a list of texts: record 1"),
        (put(0, unbiased_state_value_noise=[0.0]), "the truth is one return.*: record 1"),
        (lambda records: [record.pop("response") for record in records], "response is missing: records 1, 2, 3, 4"),
        (lambda records: records.append("text"), "the record is not an object: record 5"),
    ],
)
def test_records_without_a_meaning_are_refused(
    tmp_path: Path, change: Callable[[Records], object], message: str
) -> None:
    with pytest.raises(SvebError, match=message):
        read_records(changed(tmp_path, change))


def test_all_faults_are_told_together_and_nothing_is_written(tmp_path: Path) -> None:
    def change(records: Records) -> None:
        records[0]["output_reward"] = -1
        records[1]["sampled_response"] = "?"
        records[2]["unbiased_state_value"] = 0.123

    with pytest.raises(SvebError) as refused:
        import_hista(changed(tmp_path, change), "nano", tmp_path / "out")
    warning = "(warning) unbiased_state_value is not a multiple of 1/n: record 3"
    for part in ("output_reward", "is not a prefix of response", warning):
        assert part in str(refused.value)
    assert not (tmp_path / "out").exists()


def append_copy(**fields: object) -> Callable[[Records], object]:
    return lambda records: records.append(copy.deepcopy(records[0]) | fields)


@pytest.mark.parametrize(
    ("change", "warning", "numbers"),
    [
        (put(2, unbiased_state_value=0.72), "unbiased_state_value is not a multiple of 1/n", [3]),
        (put(1, sampled_response=""), "sampled_response is empty: the state is the bare prompt", [2]),
        (put(0, output_reward=0.0), "output_reward contradicts the list that response is in", [1]),
        (put(0, output_reward=0.5), "output_reward is neither 0 nor 1", [1]),
        (put(3, wrong_responses=["a", "b"]), "response is in neither list", [4]),
        (put(3, wrong_responses=["a", "b"]), "not 4 responses as in most records", [4]),
        (put(2, unbiased_state_value_noise=[0.5, 0.0]), "not 20 returns as in most records", [3]),
        (put(2, unbiased_state_value_noise=[0.5] * 20), "unbiased_state_value_noise does not end at 0", [3]),
        (
            put(2, unbiased_state_value_noise=["x"] * 19 + [0]),
            "unbiased_state_value_noise contains what is not a number",
            [3],
        ),
        (append_copy(), "the same state stands in an earlier record", [5]),
        (append_copy(sampled_response="There"), "the problem stands in an earlier record", [5]),
        (append_copy(solution="89"), "the same problem has another solution in an earlier record", [5]),
    ],
)
def test_what_only_looks_odd_is_imported_and_told(
    tmp_path: Path, change: Callable[[Records], object], warning: str, numbers: list[int]
) -> None:
    _, warnings = read_records(changed(tmp_path, change))
    assert [found for what, found in warnings.items() if what.startswith(warning)] == [numbers]


def test_a_problem_that_comes_again_is_one_problem_with_several_states(tmp_path: Path) -> None:
    def change(records: Records) -> None:
        again = copy.deepcopy(records[0])
        again |= {"sampled_response": "Seventy", "response": "Seventy are left. \\boxed{70}", "output_reward": 0.0}
        again["wrong_responses"] = [again["response"], *again["wrong_responses"][1:]]
        records.append(again)

    folder, warnings = import_hista(changed(tmp_path, change), "nano", tmp_path / "out")
    suite = Suite.open(folder)
    assert verify(suite) == []
    assert suite.manifest.notes["import"]["warnings"] == warnings
    assert suite.states.groupby("problem_id").size().tolist() == [2, 1, 1, 1]
    group = suite.rollouts("context").groupby("problem_id").size()
    assert group.tolist() == [5, 4, 4, 4], "the earlier record's pool and the other's scored response"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not valid JSON"), ("[]", "an empty list"), ('{"a": 1}', "holds a dict: expected a list of records")],
)
def test_a_file_of_something_else_is_said_so(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "records.json"
    path.write_text(text)
    with pytest.raises(SvebError, match=message):
        read_records(path)


def test_a_missing_file_an_unknown_model_and_a_full_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="does not exist"):
        import_hista(tmp_path / "nothing.json", "nano", tmp_path / "out")
    with pytest.raises(SvebError, match="unknown model"):
        import_hista(RECORDS, "nanno", tmp_path / "out")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SvebError, match="is not empty"):
        import_hista(RECORDS, "nano", tmp_path)


def test_many_records_are_listed_short() -> None:
    assert listed([3]) == "record 3"
    assert listed(list(range(1, 25))).endswith("20 and 4 more")
