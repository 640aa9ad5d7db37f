"""A third protocol, known only through its registration, works from generation to the pages."""

from __future__ import annotations

import ast
import datetime
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sveb
from sveb.cli.console import out as console
from sveb.cli.run_tables import results_table
from sveb.common.errors import SvebError
from sveb.entries.submit import make_entry
from sveb.evaluation import evaluate
from sveb.generate.generation import settings_for
from sveb.generate.pipeline import generate
from sveb.harness.visible_inputs import Inputs
from sveb.publication import build
from sveb.runs.run_folder import RunFolder
from sveb.suite.protocol import PAPER, PROTOCOLS, STANDARD, Protocol, find_protocol
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

BUDGET = 48
COUNTS = {
    "test_problems": 4, "train_problems": 1, "group": 3, "train_group": 1, "path_states": 2, "sibling_parents": 1,
    "siblings": 3, "continuations": 4, "draws": 0,
}  # fmt: skip
THIRD = Protocol(
    name="seen-steps",
    about="states at steps of rollouts that estimators see",
    cut="steps",
    cut_from="context",
    whole_budget=True,
    fixed={"probes": 0},
    leak="each state is a step of a response that estimators see, and so is what came after it",
    leak_label="responses are seen whole",
)


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROTOCOLS, THIRD.name, THIRD)
        yield


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    settings = settings_for(
        "nano", out=tmp_path_factory.mktemp("third") / "seen", size="demo", counts=COUNTS, protocol=THIRD.name,
        engine="transformers", max_new_tokens=BUDGET,
    )  # fmt: skip
    return Suite.open(generate(settings))


@pytest.fixture(scope="module")
def evaluated(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return evaluate(suite, "group_mean", {}, tmp_path_factory.mktemp("runs"))


def test_its_states_are_steps_of_the_context_rollouts_and_verify_agrees(suite: Suite) -> None:
    assert suite.protocol is THIRD
    assert verify(suite) == []
    paths = suite.states[suite.states["kind"] == "path"]
    assert len(paths) > 4
    assert all("/c" in rollout_id for rollout_id in paths["rollout_id"])
    assert (suite.states["kind"] == "root").sum() == 4


def test_its_budget_is_in_the_truth(suite: Suite) -> None:
    truth = suite.table("truth").to_pandas().set_index("state_id")
    tokens_left = suite.states[suite.states["kind"] == "path"]
    cut_short = [
        n
        for state in tokens_left["state_id"]
        for n, reason in zip(truth.loc[state, "n_tokens"], truth.loc[state, "finish_reason"], strict=True)
        if reason == "length"
    ]
    assert cut_short, "some run out of so small a budget"
    assert set(cut_short) == {BUDGET}, "a whole response's tokens, although the prefix has some already"


def test_estimators_learn_which_rollout_a_state_is_cut_from(suite: Suite) -> None:
    inputs = Inputs(suite, 0)
    for index, rows in enumerate(inputs.state_rows):
        rollouts = suite.states["rollout_id"].iloc[rows].tolist()
        expected = [int(name[-2:]) if isinstance(name, str) else -1 for name in rollouts]
        assert inputs.own_rollouts(index, rows).tolist() == expected


def test_it_is_scored_and_its_note_is_on_the_pages_and_in_the_tables(
    suite: Suite, evaluated: RunFolder, tmp_path: Path
) -> None:
    assert evaluated.results.metrics["mse"].value >= 0
    assert evaluated.results.info.suite.protocol == THIRD.name
    assert THIRD.leak in (suite.path / "README.md").read_text()
    with console.capture() as captured:
        console.print(results_table([("group_mean", evaluated.results)], "group_mean"), width=250)
    assert THIRD.leak_label in captured.get()

    make_entry(
        evaluated.folder, tmp_path / "submissions", date=datetime.date(2026, 11, 20), name="mean", title="mean",
        team="SVEB", method="Mean.", links=[], hardware="2 CPU cores",
    )  # fmt: skip
    index = build(tmp_path / "submissions", tmp_path / "site").read_text()
    entry = html.unescape((tmp_path / "site" / "entries" / "mean.html").read_text())
    assert THIRD.leak in entry
    assert f">{THIRD.badge}<" in entry
    embedded = re.search(r'<script [^>]*type="application/json"[^>]*>(.*?)</script>', index, re.DOTALL)
    assert embedded is not None
    (shown,) = json.loads(embedded[1])["suites"]
    assert shown["leak"] == {"badge": THIRD.badge, "text": THIRD.leak}


def test_budgets_by_hand() -> None:
    assert STANDARD.continuation_budget(100, 30) == 70
    assert PAPER.continuation_budget(100, 30) == 100
    assert STANDARD.context_budget(20, 100) == 120
    assert PAPER.context_budget(20, 100) == 220


def test_the_most_states_of_a_problem_by_hand() -> None:
    counts = {"group": 8, "probes": 2, "path_states": 3, "sibling_parents": 2, "siblings": 4}
    assert STANDARD.most_states(counts) == 1 + 2 * 3 + 2 * 4
    assert PAPER.most_states(counts) == 1
    assert THIRD.most_states(counts) == 1 + 8 * 3 + 2 * 4


def test_an_unknown_protocol_is_named_with_the_known_ones() -> None:
    with pytest.raises(SvebError, match="unknown protocol 'papr': did you mean paper"):
        find_protocol("papr")


def test_no_other_file_of_the_package_knows_a_protocol_by_name() -> None:
    package = Path(sveb.__file__).parent
    found = set()
    for path in package.rglob("*"):
        name = str(path.relative_to(package))
        if path.suffix == ".py":
            code = list(ast.walk(ast.parse(path.read_text())))
            literal = any(isinstance(node, ast.Constant) and node.value == PAPER.name for node in code)
            imported = any(isinstance(node, ast.alias) and node.name == "PAPER" for node in code)
            if literal or imported:
                found.add(name)
        elif path.suffix in (".j2", ".js") and re.search(rf"""["']{PAPER.name}["']""", path.read_text()):
            found.add(name)
    # The archive that the importer reads was made under that protocol.
    assert found == {"suite/protocol.py", "generate/importers/hista_archive.py"}
