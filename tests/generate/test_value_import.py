"""`sveb import-values`: values that others published as a suite's truth, and what can be wrong with them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.generate.importers.findings import Findings
from sveb.generate.importers.value_import import ASKED, HARD, ValueData, import_values
from sveb.policies.engines import load_codec
from sveb.suite.export import export
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from tests.support.dumps import chat_model, write_lines

Rows = list[dict[str, Any]]


def imported(source: Path, form: str, out: Path, model: str = "nano", **options: Any) -> tuple[Suite, Findings]:
    made, findings = import_values(ValueData(source, form, model, "ledger", out, **options))
    suite = Suite.open(made)
    assert verify(suite) == []
    return suite, findings


State = tuple[tuple[int, ...], tuple[int, ...]]


def values(suite: Suite, *kinds: str) -> dict[State, tuple[float, int]]:
    """Mean and count by the tokens of prompt and prefix; states with the same tokens count as one."""
    truth = suite.table("truth", ["state_id", "value_mean", "n_continuations"]).to_pandas()
    states = suite.states.reset_index(drop=True).merge(truth, on="state_id")
    found: dict[State, list[tuple[float, int]]] = defaultdict(list)
    for row in states[states["kind"].isin(kinds or ("root", "path", "sibling"))].to_dict("records"):
        prompt = suite.problems.loc[row["problem_id"], "prompt_token_ids"]
        found[tuple(prompt), tuple(row["token_ids"])].append((row["value_mean"], row["n_continuations"]))
    return {
        key: (sum(mean * n for mean, n in each) / sum(n for _, n in each), sum(n for _, n in each))
        for key, each in found.items()
    }


@pytest.mark.parametrize(
    ("kind", "form", "kinds"),
    [("parquet", "sveb", ()), ("math-shepherd", "math-shepherd", ("path",)), ("prm", "prm", ("path",))],
)
def test_what_is_exported_comes_back_with_the_same_values(
    kind: str, form: str, kinds: tuple[str, ...], tmp_path: Path
) -> None:
    whole = Suite.open()
    path = tmp_path / ("values.parquet" if kind == "parquet" else "values.jsonl")
    export(whole, kind, path)
    suite, findings = imported(path, form, tmp_path / "out", problems=8)
    found, expected = values(suite), values(whole, *kinds)
    problems = {prompt for prompt, _ in found}
    assert len(problems) == 8
    assert set(found) == {state for state in expected if state[0] in problems}
    assert found == {state: pytest.approx(expected[state], abs=1e-9) for state in found}
    assert (suite.table("truth")["return_"].null_count == 0) == (kind == "parquet"), "it has the single returns"
    assert set(findings.warnings) <= {
        "no reference answer",
        "a state with several values, which count as one: their returns add up",
    }


OPEN_INSTRUCT: dict[str, Any] = {
    "ground_truth": "7", "verifier_name": "math", "probe_positions": [0, 4, 9], "mc_values": [0.5, 0.25, 1.0],
    "num_continuations": 4,
}  # fmt: skip


def open_instruct(path: Path, later: bool) -> tuple[list[str], Rows]:
    """Eight responses to one problem; states of the first right and of the first wrong one, as the script chooses."""
    whole = Suite.open()
    rollouts = whole.rollouts("context")
    groups = [rows.drop_duplicates("text").head(8) for _, rows in rollouts.groupby("problem_id")]
    group = next(rows for rows in groups if 1 < rows["return_"].sum() < len(rows) - 1)
    texts, right = group["text"].tolist(), (group["return_"] == 1).tolist()
    prompt = whole.problems.loc[group["problem_id"].iloc[0]]
    rows = []
    for main in (right.index(True), right.index(False)):
        others = [i for i in range(len(texts)) if i != main]
        row = {
            **OPEN_INSTRUCT, "prompt": f"{prompt['question']}\n", "rollout_text": texts[main],
            "rollout_tokens": group["token_ids"].iloc[main].tolist(), "rollout_is_correct": right[main],
            "sibling_rollouts": [{"text": texts[i], "is_correct": right[i]} for i in others],
        }  # fmt: skip
        if later:
            row |= {"problem": prompt["question"], "prompt_token_ids": prompt["prompt_token_ids"].tolist()}
        rows.append(row)
    pd.DataFrame(rows).to_parquet(path)
    return texts, rows


def test_open_instruct_gives_states_by_tokens_and_a_group_without_the_cut_responses(tmp_path: Path) -> None:
    texts, rows = open_instruct(tmp_path / "values.parquet", later=True)
    suite, findings = imported(tmp_path, "open-instruct", tmp_path / "out")
    assert suite.problems["question"].tolist() == [rows[0]["problem"]]
    assert suite.problems["answer"].tolist() == ["7"]
    prompt = tuple(rows[0]["prompt_token_ids"])
    expected = {(prompt, ()): (0.5, 8)}  # both rows measured the bare prompt
    for row in rows:
        expected |= {(prompt, tuple(row["rollout_tokens"][:t])): (v, 4) for t, v in ((4, 0.25), (9, 1.0))}
    assert values(suite) == expected
    cut = [row["rollout_text"] for row in rows]
    assert suite.rollouts("context")["text"].tolist() == [text for text in texts if text not in cut]
    assert suite.rollouts("probe")["return_"].tolist() == [1.0, 0.0]
    assert "tokens" not in suite.manifest.notes
    assert list(findings.warnings) == ["a state with several values, which count as one: their returns add up"]


def test_the_older_open_instruct_layout_cut_texts_by_their_share(tmp_path: Path) -> None:
    _, rows = open_instruct(tmp_path / "values.parquet", later=False)
    suite, findings = imported(tmp_path / "values.parquet", "open-instruct", tmp_path / "out")
    for row in rows:
        for place in (4, 9):
            end = int(len(row["rollout_text"]) * place / len(row["rollout_tokens"]))
            assert row["rollout_text"][:end] in suite.states["text"].tolist()
    assert len(findings.warnings[next(what for what in findings.warnings if "the older layout" in what)]) == 2
    assert "tokenised again" in suite.manifest.notes["tokens"]


def test_its_group_and_truth_can_be_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_instruct(Path("values.parquet"), later=True)
    made = CliRunner().invoke(
        app, ["import-values", "values.parquet", "--format", "open-instruct", "--model", "nano", "--out", "theirs"]
    )
    assert made.exit_code == 0, made.output
    for command in (["eval", "group_mean", "--suite", "theirs"], ["score", "runs/theirs/group_mean"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    suite = Suite.open(Path("theirs"))
    mean = suite.rollouts("context")["return_"].mean()
    metrics = json.loads(Path("runs/theirs/group_mean/results.json").read_text())["metrics"]
    path_states = [0.25, 1.0, 0.25, 1.0]
    assert metrics["mae_raw"]["value"] == pytest.approx(sum(abs(v - mean) for v in path_states) / 4, abs=1e-5)


def shepherd(question: str, steps: list[str], signs: str) -> dict[str, str]:
    lines = [f"Step {number}: {step}" for number, step in enumerate(steps, start=1)]
    return {
        "input": f"{question} " + "\n".join(f"{line} ки" for line in lines),
        "label": f"{question} " + "\n".join(f"{line} {sign}" for line, sign in zip(lines, signs, strict=True)),
        "task": "GSM8K",
    }


def test_math_shepherds_signs_are_hard_labels_and_the_last_one_is_the_outcome(tmp_path: Path) -> None:
    model = chat_model(tmp_path / "chat")
    rows = [shepherd("How many? -", ["3 + 4 = 7.", "7 - 2 = 5.", "The answer is: 5"], "++-")]
    write_lines(tmp_path / "values.jsonl", [*rows, shepherd("One?", ["The answer is: 1"], "+")])
    suite, findings = imported(tmp_path / "values.jsonl", "math-shepherd", tmp_path / "out", str(model))
    assert suite.problems["question"].tolist() == ["How many? -"]
    assert suite.problems["tier"].tolist() == ["GSM8K"]
    first = "Step 1: 3 + 4 = 7."
    assert suite.states["text"].tolist() == [first, f"{first}\nStep 2: 7 - 2 = 5."]
    truth = suite.table("truth").to_pandas()
    assert truth["value_mean"].tolist() == [1.0, 1.0]
    assert truth["n_continuations"].tolist() == [1, 1]
    assert truth["value_se"].isna().all(), "the noise of a hard label is unknown, not 0"
    assert suite.rollouts("probe")["return_"].tolist() == [0.0]
    assert suite.manifest.notes["values"] == HARD
    assert suite.manifest.notes["prompts"] == ASKED
    assert findings.warnings["one step, which is the whole response, so no state: left out"] == ["values.jsonl, line 2"]


def test_published_steps_without_their_line_breaks_are_joined_with_them(tmp_path: Path) -> None:
    write_lines(tmp_path / "v.jsonl", [{"prompt": "2 3", "completions": ["2 3", "5"], "labels": [True, False]}])
    suite, _ = imported(tmp_path / "v.jsonl", "prm", tmp_path / "out")
    assert suite.rollouts("probe")["text"].tolist() == ["2 3\n5"]
    assert suite.states["text"].tolist() == ["2 3"]


def test_stops_tokens_are_parted_where_the_answer_opens(tmp_path: Path) -> None:
    model = chat_model(tmp_path / "chat")
    codec = load_codec(str(model))
    prompt = codec.render([{"role": "system", "content": "Think."}, {"role": "user", "content": "What is 3 + 4?"}])
    rows = [
        {"prefix_token_ids": [*prompt, *codec.encode(text)], "Soft_label": value, "Hard_label": 1}
        for text, value in (("First", 0.25), ("First 3", 0.5), ("Then", 0.0))
    ]
    write_lines(tmp_path / "values.jsonl", rows)
    with pytest.raises(SvebError, match=r"line 1: .* how many continuations Soft_label .*--continuations N"):
        imported(tmp_path / "values.jsonl", "stop", tmp_path / "out", str(model))
    suite, _ = imported(tmp_path / "values.jsonl", "stop", tmp_path / "out", str(model), continuations=32)
    assert [tuple(ids) for ids in suite.problems["prompt_token_ids"]] == [tuple(prompt)]
    assert suite.states["text"].tolist() == ["First", "First 3", "Then"]
    assert suite.states["rollout_id"].nunique() == 2, "a prefix of another prefix is cut from it"
    assert suite.table("truth")["value_mean"].to_pylist() == [0.25, 0.5, 0.0]
    with pytest.raises(SvebError, match=r"line 1: prefix_token_ids: .* expected a model with a chat template"):
        imported(tmp_path / "values.jsonl", "stop", tmp_path / "none", continuations=32)
    assert not (tmp_path / "none").exists()


def test_single_returns_are_kept_and_ungraded_ones_are_missing(tmp_path: Path) -> None:
    rows = [
        {"prompt": "2 3\n", "prefix": "2", "returns": [1, 0.5, None, True]},
        {"prompt": "2 3\n", "prefix": "2 3", "value": 0.3, "n": 4},
    ]
    write_lines(tmp_path / "v.jsonl", rows)
    suite, findings = imported(tmp_path / "v.jsonl", "sveb", tmp_path / "out")
    truth = suite.table("truth").to_pandas()
    assert truth["value_mean"].tolist() == [pytest.approx(2.5 / 3), 0.3]
    assert truth["n_missing"].tolist() == [1, 0]
    assert findings.warnings["a value that is not a multiple of 1/n: not the mean of n returns of 0 or 1"] == [
        "v.jsonl, line 2"
    ]
    assert suite.manifest.statistics["missing_grades"] == 1, "not the response, which nobody graded"


def put(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {key: value for key, value in (row | fields).items() if value != "absent"}


PLAIN = {"prompt": "2 3\n", "prefix": "2", "value": 0.5, "n": 4}
STEPS = {"prompt": "2 3", "completions": ["2\n", "3"], "labels": [0.5, 1.0], "n": [4, 4]}
SIGNS = shepherd("2 3", ["2", "3"], "+-")
MARK = "the input with . or - in the place"


@pytest.mark.parametrize(
    ("form", "row", "change", "message"),
    [
        ("sveb", PLAIN, put(value="absent"), "v.jsonl, line 1: the key 'value' is missing; found the keys n, prefix"),
        ("sveb", PLAIN, put(value=1.2), r"line 1: value is 1.2: expected a number in \[0, 1\]"),
        ("sveb", PLAIN, put(value=float("nan")), r"line 1: value is nan: expected a number in \[0, 1\]"),
        ("sveb", PLAIN, put(n=0), "line 1: the number of continuations is 0: expected a whole number of at least 1"),
        ("sveb", PLAIN, put(n="absent"), "how many continuations value is the mean of: name it with --continuations"),
        ("sveb", PLAIN, put(returns=[1, 2]), r"line 1: returns is \[1, 2\]: expected a list of returns in \[0, 1\]"),
        ("sveb", PLAIN, put(prefix="absent"), "the key 'prefix' is missing"),
        ("sveb", PLAIN, put(prompt="absent"), "the key 'question' is missing"),
        ("sveb", PLAIN, put(prefix_token_ids=[1, -2]), r"prefix_token_ids is \[1, -2\]: expected a list of token ids"),
        (
            "sveb",
            PLAIN,
            put(prefix_token_ids=[10**6]),
            "line 1: token id 1000000: expected at most .* of nano",
        ),
        ("prm", STEPS, put(labels=[0.5]), r"labels is \[0.5\]: expected 2 labels, one for each step"),
        ("prm", STEPS, put(n=[4]), r"n is \[4\]: expected 2 numbers, one for each label"),
        ("prm", STEPS, put(completions=["2", 3]), "expected a list of steps, each a text"),
        ("math-shepherd", SIGNS, put(input="2 3 ки"), "input is '2 3 ки': expected .* steps that begin with 'Step 1:'"),
        ("math-shepherd", SIGNS, put(label="2 3 Step 1: 2 +\nStep 2: 4 -"), MARK),
        ("math-shepherd", SIGNS, put(label="2 3 Step 1: 2 0\nStep 2: 3 -"), MARK),
        ("open-instruct", PLAIN, put(), "the key 'rollout_text' is missing; found the keys n, prefix, prompt, value"),
        ("stop", PLAIN, put(), "the key 'prefix_token_ids' is missing"),
    ],
)
def test_a_row_of_another_kind_names_its_file_and_key_and_nothing_is_written(
    form: str, row: dict[str, Any], change: Callable[..., Any], message: str, tmp_path: Path
) -> None:
    write_lines(tmp_path / "v.jsonl", [change(row)])
    with pytest.raises(SvebError, match=message) as refused:
        imported(tmp_path / "v.jsonl", form, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["v.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(mc_values=[0.5]), r"row 1: mc_values is \[0.5\]: expected 3 values, one for each of probe_positions"),
        (put(probe_positions=[0, 4, 10**6]), "probe_positions is .*: expected a list of numbers of tokens, 0 to"),
        (put(num_continuations=None), "num_continuations is None: expected a whole number"),
        (put(mc_values=[0.5, 0.25, 7.0]), r"mc_values is .*: expected a number in \[0, 1\] for each state"),
        (put(probe_positions=[], mc_values=[]), "contains no state with a value .*no probe_positions.*: 1"),
    ],
)
def test_faults_of_open_instructs_parquet(change: Callable[..., Any], message: str, tmp_path: Path) -> None:
    _, rows = open_instruct(tmp_path / "v.parquet", later=True)
    pd.DataFrame([change(rows[0])]).to_parquet(tmp_path / "v.parquet")
    with pytest.raises(SvebError, match=message):
        imported(tmp_path / "v.parquet", "open-instruct", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sources_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="does not exist: expected rows with prefix_token_ids"):
        imported(tmp_path / "nothing", "stop", tmp_path / "out")
    with pytest.raises(SvebError, match=r"unknown format 'prn'.*did you mean prm"):
        imported(tmp_path, "prn", tmp_path / "out")
    with pytest.raises(SvebError, match=r"expected files ending in .parquet or .jsonl"):
        imported(tmp_path, "prm", tmp_path / "out")
    (tmp_path / "v.parquet").write_text("no table")
    with pytest.raises(SvebError, match=r"v.parquet cannot be read as parquet"):
        imported(tmp_path, "prm", tmp_path / "out")
    (tmp_path / "v.parquet").unlink()
    (tmp_path / "v.jsonl").write_text("")
    with pytest.raises(SvebError, match="contains no state with a value"):
        imported(tmp_path, "prm", tmp_path / "out")
