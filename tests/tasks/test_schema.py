"""A task.toml is refused with everything that is wrong with it, in one go."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sveb.common.errors import SvebError
from sveb.tasks import task_folders as folders
from sveb.tasks.task import Task
from sveb.tasks.task_folders import task_folder, task_names
from sveb.tasks.task_schema import faults_of

EXAMPLE = {"question": "2+2?", "response": "It is \\boxed{4}."}
GSM8K = tomllib.loads((task_folder("gsm8k") / "task.toml").read_text())


def test_every_task_here_loads_and_says_what_it_must() -> None:
    for name in task_names():
        task = Task.load(name)
        readme = (task.folder / "README.md").read_text()
        assert readme.startswith("# ")
        assert "Licence: " in readme
        assert "Data statement: " in readme
        assert task.sample.read_text().count("\n") >= 4
        assert len(task.description) < 110


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: t.pop("licence"), "licence is missing"),
        (lambda t: t.pop("steps"), "steps is missing"),
        (lambda t: t.update(steps=3), "steps is 3: expected a table"),
        (lambda t: t.update(lisence="MIT"), "lisence is not a known key: did you mean licence?"),
        (lambda t: t["source"].update(unusuable="skip"), "source.unusuable is not a known key: did you mean unusable?"),
        (lambda t: t["source"].update(unusable="skp"), "source.unusable: unknown rule 'skp': did you mean skip?"),
        (lambda t: t["source"].pop("revision"), "source.revision is missing: a hub dataset needs it"),
        (lambda t: t["source"]["splits"].pop("train"), "source.splits.train is missing"),
        (lambda t: t["source"]["columns"].pop("answer"), "source.columns.answer is missing"),
        (lambda t: t["source"]["columns"].update(solution="s"), "source.columns.solution is not a known key"),
        (lambda t: t["source"].update(keep={"a": "("}), "source.keep.a is not a regular expression"),
        (lambda t: t["source"].update(answer_pattern="####"), "source.answer_pattern has no group"),
        (lambda t: t["prompt"].update(user="Go."), "prompt.user does not contain {question}"),
        (lambda t: t["prompt"].update(examples="2+2=4"), "prompt.examples is '2+2=4': expected a list"),
        (lambda t: t["prompt"].update(examples=[EXAMPLE, "4"]), "prompt.examples, number 2: expected a table with"),
        (lambda t: t["prompt"].update(examples=[EXAMPLE | {"a": "4"}]), "prompt.examples, number 1: expected a table"),
        (lambda t: t["prompt"].update(examples=[EXAMPLE | {"question": " "}]), "prompt.examples, number 1: expected a"),
        (lambda t: t["prompt"].update(examples=[EXAMPLE | {"response": "4"}]), "prompt.examples, number 1: its resp"),
        (lambda t: t["prompt"].update(chat_template_kwargs="no"), "prompt.chat_template_kwargs is 'no': expected a"),
        (lambda t: t["steps"].update(splitter="line"), "steps.splitter: unknown step splitter 'line'"),
        (lambda t: t["steps"].update(min_tokens="4"), "steps.min_tokens is '4': expected a whole number"),
        (lambda t: t["steps"].update(min_tokens=0), "steps.min_tokens is 0: expected at least 1"),
        (lambda t: t["answer"].update(grader="maths"), "answer.grader: unknown grader 'maths': did you mean math"),
        (lambda t: t["answer"].update(truncated="missing"), "answer.truncated is 'missing': expected a return"),
        (lambda t: t["answer"].update(truncated=2), "answer.truncated is 2: expected"),
        (lambda t: t["answer"].update(truncated=True), "answer.truncated is True: expected"),
        (lambda t: t["answer"].pop("marker"), "answer.marker is missing"),
        (lambda t: t["answer"].update(extract="whole"), 'answer.marker: expected none with extract = "whole"'),
        (lambda t: t.update(field="maths"), "field: unknown field 'maths': did you mean math?"),
        (lambda t: t.update(name="gsm"), "name is 'gsm': expected 'gsm8k', the name of the folder"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_key(change: Callable[[dict[str, Any]], object], fault: str) -> None:
    raw = copy.deepcopy(GSM8K)
    assert faults_of(raw, "gsm8k") == []
    change(raw)
    assert [found for found in faults_of(raw, "gsm8k") if found.startswith(fault)], faults_of(raw, "gsm8k")


def test_a_broken_folder_is_one_error_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "task.toml"
    monkeypatch.setattr(folders, "tasks_dir", lambda: tmp_path)
    path.write_text('name = "mine"\n[steps]\nsplitter = "lines"\n')
    with pytest.raises(
        SvebError, match=r"mine/task.toml: title is missing; .*prompt is missing; .*steps.min_tokens is"
    ):
        Task.load("mine")
    path.write_text("name = ")
    with pytest.raises(SvebError, match=r"mine/task.toml: Invalid value"):
        Task.load("mine")


def test_the_table_in_the_docs_is_what_the_tasks_say() -> None:
    docs = (Path(__file__).resolve().parents[2] / "docs" / "tasks.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in docs.splitlines() if line.count("|") == 7]
    shown = {row[0]: row[1:] for row in rows[2:]}
    assert shown.keys() == set(task_names())
    for name, (field, source, licence, grader, splitter) in shown.items():
        task = Task.load(name)
        assert (field, licence, grader) == (task.field, task.licence, task.answer["grader"])
        assert splitter == task.steps["splitter"]
        assert source.split(" (")[0] == task.source.get("hub", "generated")
