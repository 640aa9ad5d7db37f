"""A generated suite is what the protocol says, and `verify` names whatever is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import SeedLayout, counts_for
from sveb.generate.reporter import SilentReporter
from sveb.policies.policy import Policy
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from sveb.tasks.task import Task


def test_counts_and_roles_are_those_asked_for(tiny_suite: Path) -> None:
    suite = Suite.open(tiny_suite)
    assert verify(suite) == []
    roles = suite.rollouts().groupby("role").size().to_dict()
    assert roles == {"context": 36, "probe": 12, "train": 16}
    truth = suite.table("truth").to_pandas()
    assert (truth["n_continuations"] + truth["n_missing"] == 8).all()
    assert suite.table("draws").num_rows == 4 * len(suite.states)
    assert suite.table("audit")["state_id"].to_pylist() == suite.states.index.tolist()
    assert {len(returns) for returns in suite.table("audit")["return_"].to_pylist()} == {3}
    assert (suite.states["kind"] == "root").sum() == 6


def test_states_are_prefixes_before_the_answer_and_siblings_differ_in_one_step(tiny_suite: Path) -> None:
    suite = Suite.open(tiny_suite)
    rollouts = suite.rollouts().set_index("rollout_id")
    states = suite.states
    assert not states["text"].str.contains("####").any()
    path = states[states["kind"] == "path"]
    assert len(path) > 20
    for state in path.itertuples():
        whole = rollouts.loc[state.rollout_id]
        assert whole["role"] == "probe"
        assert whole["text"].startswith(state.text)
        assert state.text.endswith("\n")
        assert state.n_tokens == whole["step_ends"][state.step_index - 1] == len(state.token_ids)
    siblings = states[states["kind"] == "sibling"]
    assert len(siblings) > 4
    for parent_id, group in siblings.groupby("parent_state_id"):
        assert len(group) >= 2
        assert group["text"].is_unique
        steps = [text.removeprefix(states.loc[parent_id, "text"]) for text in group["text"]]
        assert all(step.count("\n") == 1 and step.endswith("\n") for step in steps)


def test_seeds_are_the_plans_and_none_stands_twice(tiny_suite: Path) -> None:
    suite = Suite.open(tiny_suite)
    layout = SeedLayout(counts_for("demo", suite.manifest.counts), suite.manifest.seed)
    rollouts = suite.rollouts("context", "probe")
    assert suite.rollouts()["seed"].is_unique
    for place, (_, group) in enumerate(rollouts.groupby("problem_id", sort=False)):
        assert group["seed"].tolist() == layout.rollouts(place, 0, 8).tolist()


def test_returns_are_the_graders_verdict_on_the_stored_text(tiny_suite: Path) -> None:
    suite = Suite.open(tiny_suite)
    answers = suite.problems["answer"]
    for row in suite.rollouts().itertuples():
        said = row.text.rpartition("####")[2].strip() if row.finish_reason == "stop" else None
        assert row.return_ == float(said == answers[row.problem_id])


def test_rollouts_are_the_policys_own(tiny_suite: Path, nano_transformers: Policy) -> None:
    """No sampled token may be impossible under the policy: prompt, prefix and tokens belong together."""
    suite = Suite.open(tiny_suite)
    prompts = suite.problems["prompt_token_ids"]
    rows = suite.rollouts("probe")
    full = [[*prompts[r.problem_id], *r.token_ids] for r in rows.itertuples()]
    scores = nano_transformers.logprobs(full)
    own = [lp[len(prompts[r.problem_id]) - 1 :] for r, lp in zip(rows.itertuples(), scores, strict=True)]
    assert np.concatenate(own).mean() > -0.7  # a policy samples what it finds likely
    assert np.concatenate(own).min() > -14


def test_the_same_plan_is_complete_and_another_is_refused_with_the_difference(tiny_suite: Path) -> None:
    before = sha256(tiny_suite / "manifest.json")
    counts = counts_for("demo", Suite.open(tiny_suite).manifest.counts)
    again = Settings(model="nano", out=tiny_suite, counts=counts, engine="transformers")
    assert generate(again, SilentReporter()) == tiny_suite
    assert sha256(tiny_suite / "manifest.json") == before
    other = Settings(model="nano", out=tiny_suite, counts=counts, engine="transformers", seed=1)
    with pytest.raises(SvebError, match="seed: 0 in the folder, 1 asked for"):
        generate(other, SilentReporter())


def test_a_run_that_dies_while_it_writes_the_suite_is_continued(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between the tables and the manifest: the folder is neither empty nor a suite."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "small"
    counts = counts_for(
        "demo",
        {"test_problems": 2, "train_problems": 1, "group": 4, "train_group": 2, "probes": 1, "path_states": 3,
         "sibling_parents": 1, "siblings": 3, "continuations": 4, "draws": 2, "audit": 1},
    )  # fmt: skip
    settings = Settings(model="nano", out=out, counts=counts, engine="transformers")
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "write", die)
        with pytest.raises(KeyboardInterrupt):
            generate(settings, SilentReporter())
    (out / ".truth.parquet.1.tmp").write_text("half a file of a killed process")
    written = {path: path.read_bytes() for path in out.glob("*.parquet")}
    assert {path.stem for path in written} == {"problems", "rollouts", "states", "truth", "draws", "audit"}
    again = SilentReporter()
    generate(settings, again)
    assert again.tokens == 0
    assert {path.name for path in out.iterdir()} == {path.name for path in tiny_suite.iterdir()}
    assert {path: path.read_bytes() for path in written} == written
    assert verify(Suite.open(out)) == []


def test_a_folder_of_other_files_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    settings = Settings(model="nano", out=tmp_path, counts=counts_for("demo", {}), engine="transformers")
    with pytest.raises(SvebError, match="holds files but no suite"):
        generate(settings, SilentReporter())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_real_datasets_loader_reads_every_table(tiny_suite: Path, tmp_path: Path) -> None:
    import datasets

    for name in Suite.open(tiny_suite).tables:
        loaded = datasets.load_dataset(str(tiny_suite), name, split="train", cache_dir=str(tmp_path))
        assert loaded.num_rows == Suite.open(tiny_suite).table(name).num_rows


def test_croissants_own_tool_reads_the_new_columns_and_the_audit_pool(tiny_suite: Path) -> None:
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=tiny_suite / "croissant.json")
    assert not dataset.metadata.issues.errors
    suite = Suite.open(tiny_suite)
    for name in ("states", "audit"):
        first = next(iter(dataset.records(name)))
        assert list(first) == [f"{name}/{column}" for column in suite.table(name).column_names]
    np.testing.assert_array_equal(first["audit/return_"], suite.table("audit")["return_"][0].as_py())


def test_task_steps_and_answers_come_from_its_folder() -> None:
    task = Task.load("ledger")
    assert task.step_ends(["2", "*", "3", "=", "6", "\n", "6", "-", "1", "=", "5", "\n"]) == [6, 12]
    assert task.answered("2*3=6\n#### 6")
    assert not task.answered("2*3=6\n")


def rewrite(suite: Path, table: str, change: Callable[[dict[str, list[object]]], None], *, fix: bool = True) -> None:
    """Alters a table; with `fix` its checksum in the manifest follows, so that only the content is wrong."""
    path = suite / f"{table}.parquet"
    old = pq.read_table(path)
    columns = old.to_pydict()
    change(columns)
    pq.write_table(pa.table(columns, schema=old.schema), path)
    if fix:
        manifest = json.loads((suite / "manifest.json").read_text())
        manifest["files"][path.name]["sha256"] = sha256(path)
        (suite / "manifest.json").write_text(json.dumps(manifest))


def set_first(name: str, value: object) -> Callable[[dict[str, list[object]]], None]:
    def change(columns: dict[str, list[object]]) -> None:
        columns[name][0] = value

    return change


@pytest.mark.parametrize(
    ("table", "change", "place", "message"),
    [
        ("truth", set_first("value_mean", 0.123), "value_mean", "does not follow from the returns"),
        ("truth", set_first("n_missing", 3), "n_missing", "does not follow"),
        ("truth", set_first("state_id", "ghost"), "state_id", "no such state: ghost"),
        ("states", set_first("problem_id", "ghost"), "problem_id", "no such problem: ghost"),
        ("rollouts", set_first("return_", None), "statistics/success_rate", "recomputed"),
        ("draws", set_first("state_id", "ghost"), "state_id", "no such state"),
        ("states", set_first("next_tokens", 4), "next_tokens", "not those of the step that follows: "),
        ("states", set_first("next_weight", 0.5), "next_weight", "not those of the step that follows: "),
        ("audit", set_first("state_id", "ghost"), "state_id", "expected each state that has a truth exactly once"),
        ("audit", set_first("return_", [1.0]), "return_", "expected 3 returns of every state"),
    ],
)
def test_verify_names_what_is_wrong_and_where(
    tiny_suite: Path,
    tmp_path: Path,
    table: str,
    change: Callable[[dict[str, list[object]]], None],
    place: str,
    message: str,
) -> None:
    copy = shutil.copytree(tiny_suite, tmp_path / "copy")
    rewrite(copy, table, change)
    faults = verify(Suite.open(copy))
    assert any(place in f.place and message in f.wrong for f in faults), faults


def test_verify_notices_a_changed_byte_a_missing_file_and_a_foreign_table(tiny_suite: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_suite, tmp_path / "copy")
    rewrite(copy, "truth", set_first("value_mean", 0.1), fix=False)
    (copy / "draws.parquet").unlink()
    pq.write_table(pa.table({"x": [1]}), copy / "states.parquet")
    found = {(f.file, f.place) for f in verify(Suite.open(copy))}
    assert {("truth.parquet", "sha256"), ("draws.parquet", "whole file"), ("states.parquet", "columns")} <= found


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (None, "does not exist|no suite at"),
        ("", "not valid JSON"),
        ("[1, 2]", "has no schema_version"),
        ('{"schema_version": 99}', "schema version 99, this sveb reads versions up to 3: it was made by a newer"),
        ('{"schema_version": 1, "name": "x"}', "missing"),
    ],
)
def test_a_foreign_folder_is_said_so(tmp_path: Path, write: str | None, message: str) -> None:
    folder = tmp_path / "suite"
    if write is not None:
        folder.mkdir()
        (folder / "manifest.json").write_text(write)
    with pytest.raises(SvebError, match=message):
        Suite.open(folder)


def test_a_misspelt_suite_gets_the_closest() -> None:
    with pytest.raises(SvebError, match="did you mean ledger-nano"):
        Suite.open("ledger-nnano")
