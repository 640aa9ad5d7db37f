"""Protocol paper: one state a problem, cut from a response that estimators see, and said wherever it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import counts_for
from sveb.generate.reporter import SilentReporter
from sveb.generate.space_cut import cut_position
from sveb.harness.visible_inputs import Inputs
from sveb.policies.engines import load_codec
from sveb.suite.protocol import PAPER
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

WORDS = "one two three four five six seven eight nine ten"
BUDGET = 60


@pytest.fixture(scope="module")
def paper_suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    asked = {"test_problems": 6, "train_problems": 1, "group": 4, "train_group": 1, "continuations": 6}
    settings = Settings(
        model="nano", out=tmp_path_factory.mktemp("suites") / "paper", counts=counts_for("demo", asked, PAPER),
        engine="transformers", protocol=PAPER, max_new_tokens=BUDGET,
    )  # fmt: skip
    return Suite.open(generate(settings, SilentReporter()))


def test_a_cut_is_at_a_space_each_as_likely_as_any_other() -> None:
    spaces = [i for i, character in enumerate(WORDS) if character == " "]
    rng = np.random.default_rng(0)
    found = np.bincount([spaces.index(cut_position(WORDS, rng)) for _ in range(9000)])
    assert len(found) == len(spaces) == 9
    assert np.abs(found - 1000).max() < 5 * np.sqrt(1000)


@given(st.text(alphabet="ab \n\t", max_size=40), st.integers(0, 1000))
def test_where_spaces_are_few_any_whitespace_counts_and_without_one_the_whole_response_is_the_state(
    text: str, seed: int
) -> None:
    position = cut_position(text, np.random.default_rng(seed))
    if text.count(" ") >= 8:
        assert text[position] == " "
    elif any(map(str.isspace, text)):
        assert text[position].isspace()
    else:
        assert position == len(text)


def test_published_counts_and_what_contradicts_them() -> None:
    counts = counts_for("standard", {"draws": 16}, PAPER)
    assert (counts.group, counts.continuations, counts.draws, counts.test_problems) == (32, 20, 16, 110)
    assert (counts.probes, counts.path_states, counts.siblings, counts.sibling_parents) == (0, 1, 0, 0)
    for name in ("probes", "siblings", "sibling_parents"):
        with pytest.raises(SvebError, match=f"--{name.replace('_', '-')} 3: protocol paper needs [01]"):
            counts_for("demo", {name: 3}, PAPER)
    with pytest.raises(SvebError, match="probes is 0: expected at least 1"):
        counts_for("demo", {"probes": 0})


def test_states_are_text_prefixes_of_the_first_context_rollout_tokenised_again(paper_suite: Suite) -> None:
    assert verify(paper_suite) == []
    codec = load_codec("nano")
    rollouts = paper_suite.rollouts().set_index("rollout_id")
    assert set(rollouts["role"]) == {"context", "train"}
    assert len(paper_suite.states) == 6
    assert paper_suite.states["problem_id"].is_unique
    for state in paper_suite.states.itertuples():
        cut = rollouts.loc[state.rollout_id]
        assert state.rollout_id == f"{state.problem_id}/c00"
        assert cut["text"].startswith(state.text)
        assert cut["text"][len(state.text)].isspace()
        assert state.token_ids.tolist() == codec.encode(state.text)
        assert state.n_tokens == len(state.token_ids)


def test_every_continuation_has_a_whole_responses_budget(paper_suite: Suite) -> None:
    truth = paper_suite.table("truth").to_pandas().set_index("state_id")
    cut_short = [
        tokens
        for row in truth.itertuples()
        for tokens, reason in zip(row.n_tokens, row.finish_reason, strict=True)
        if reason == "length"
    ]
    assert (truth["n_continuations"] == 6).all()
    assert cut_short, "some run out of so small a budget"
    assert set(cut_short) == {BUDGET}


def test_estimators_see_the_scored_rollout_and_know_which_it_is(paper_suite: Suite, tiny_suite: Path) -> None:
    inputs = Inputs(paper_suite, 0)
    contexts = paper_suite.rollouts("context").groupby("problem_id")
    for index, name in enumerate(inputs.problem_ids["test"]):
        assert inputs.rollouts("test", index).texts == contexts.get_group(name)["text"].tolist()
        assert inputs.own_rollouts(index, inputs.state_rows[index]).tolist() == [0]
    standard = Inputs(Suite.open(tiny_suite), 0)
    assert all((standard.own_rollouts(i, standard.state_rows[i]) == -1).all() for i in range(6))


def test_the_leak_is_told_in_the_manifest_the_card_and_the_listing(paper_suite: Suite) -> None:
    assert paper_suite.manifest.protocol == "paper"
    assert "which estimators see with its return" in paper_suite.manifest.notes["leaks"]
    assert paper_suite.manifest.notes["leaks"] in (paper_suite.path / "README.md").read_text()
    shown = CliRunner().invoke(app, ["suite", "show", str(paper_suite.path)])
    assert "leaks" in shown.output
    assert "which estimators see" in shown.output


def test_verify_names_a_state_that_its_rollout_does_not_begin_with(paper_suite: Suite, tmp_path: Path) -> None:
    import shutil

    import pyarrow as pa
    import pyarrow.parquet as pq

    copy = shutil.copytree(paper_suite.path, tmp_path / "copy")
    table = pq.read_table(copy / "states.parquet")
    columns = table.to_pydict()
    columns["text"][0] = "no such text"
    pq.write_table(pa.table(columns, schema=table.schema), copy / "states.parquet")
    wrong = {(fault.file, fault.place) for fault in verify(Suite.open(copy))}
    assert ("states.parquet", "text") in wrong
