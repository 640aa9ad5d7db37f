"""Tables as the hub gives them: parquet behind a dataset card, several configs, one split for training and test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sveb.common.errors import SvebError
from sveb.tasks import problems
from sveb.tasks.problems import load_problems
from sveb.tasks.rows import Rows, file_table, hub_table
from sveb.tasks.task import Task

COMMIT = "0123456789abcdef"


@pytest.fixture
def published(tmp_path: Path) -> Callable[[str, dict[str, list[dict[str, Any]]]], Path]:
    """Puts tables where `datasets.load_dataset` finds them as it finds a hub dataset: a card that names the files."""

    def publish(split: str, configs: dict[str, list[dict[str, Any]]]) -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        card = "---\nconfigs:\n"
        for name, rows in configs.items():
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
            card += f"- config_name: {name}\n  data_files:\n  - split: {split}\n    path: {name}.parquet\n"
        (folder / "README.md").write_text(f"{card}---\n")
        return folder

    return publish


def samples(task: Task) -> list[dict[str, Any]]:
    return [json.loads(line) for line in task.sample.read_text().splitlines()]


def test_several_configs_and_one_split_make_one_pool(
    published: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.load("bbh_logic")
    rows = samples(task)
    configs = {name: rows[i : i + 1] for i, name in enumerate(task.source["config"])}
    task = replace(task, source={**task.source, "hub": str(published("test", configs))})
    # The hub cannot be asked for its commit here; everything after that is the real path.
    monkeypatch.setattr(problems, "hub_commit", lambda _: COMMIT)
    found = load_problems(task, 4, 2, 0)
    assert found.dataset == {"kind": "hub", "hub": task.source["hub"], "commit": COMMIT}
    ids = [p.problem_id for p in [*found.train, *found.test]]
    assert sorted(ids) == [f"bbh_logic-test-{i}" for i in range(6)]
    assert {p.question for p in [*found.train, *found.test]} == {row["input"] for row in rows}


def test_nested_parquet_columns_are_read_as_the_sample_is(published: Callable[..., Path]) -> None:
    for name in ("number", "program", "math", "science"):
        task = Task.load(name)
        config = task.source.get("config", "default")
        task = replace(task, source={**task.source, "hub": str(published("train", {config: samples(task)}))})
        there, here = Rows(task, hub_table(task, "train", COMMIT), "hub"), Rows(task, file_table(task.sample), "file")
        assert there.listed() == here.listed()
        assert [there.problem(*pair) for pair in there.listed()] == [here.problem(*pair) for pair in here.listed()]


def test_ids_of_two_splits_cannot_be_taken_for_each_other(
    published: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.load("general")
    folder = published("train", {"default": samples(task)})
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: train\n    path: default.parquet\n  - split: test\n    path: default.parquet\n---\n"
    )
    task = replace(task, source={**task.source, "hub": str(folder)})
    monkeypatch.setattr(problems, "hub_commit", lambda _: COMMIT)
    found = load_problems(task, 6, 6, 0)
    assert sorted(p.problem_id for p in found.train) == [f"general-train-{i}" for i in range(1, 7)]
    assert sorted(p.problem_id for p in found.test) == [f"general-test-{i}" for i in range(1, 7)]
    with pytest.raises(SvebError, match=r"\(train\) contains 6 problems; 7 were asked for: use --train-problems 6"):
        load_problems(task, 7, 6, 0)


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"prompt": "1?", "solution": "1"}\n')
    with pytest.raises(
        SvebError, match=r"columns problem, answer, question_type \(or question, answer\); found prompt, "
    ):
        load_problems(Task.load("math"), 0, 1, 0, path)
    with pytest.raises(SvebError, match="expected the columns question, answer; found prompt, solution"):
        load_problems(Task.load("countdown"), 0, 1, 0, path)


def test_a_nested_entry_that_is_not_there_is_an_empty_row(tmp_path: Path) -> None:
    """The column is right, what it holds is not."""
    path = tmp_path / "nested.jsonl"
    rows = [{"prompt": [], "reward_model": {"ground_truth": "1"}, "extra_info": None}]
    path.write_text("\n".join(map(json.dumps, rows)))
    task = Task.load("number")
    task = replace(task, source={**task.source, "unusable": "refuse", "distinct_numbers": 0})
    with pytest.raises(SvebError, match="row 0: no question"):
        load_problems(task, 0, 1, 0, path)


def test_a_file_of_the_hista_authors_needs_its_three_columns(tmp_path: Path) -> None:
    """sveb_hybrid_data: `solution` is only an answer where `verifier` says how it is compared."""
    rows = [{"problem": "What is 3 + 4?", "solution": "$7$", "verifier": "math"}]
    path = tmp_path / "train.json"
    path.write_text(json.dumps(rows))
    found = load_problems(Task.load("math"), 0, 1, 0, path).test
    assert [(p.question, p.answer, p.tier) for p in found] == [("What is 3 + 4?", "$7$", "math")]
    path.write_text(json.dumps([{key: row[key] for key in ("problem", "solution")} for row in rows]))
    with pytest.raises(SvebError, match="expected the columns problem, answer"):
        load_problems(Task.load("math"), 0, 1, 0, path)
