"""What the explorer embeds, against the suite it was made from; its size; and hostile text."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sveb.entries.entry import read_entries
from sveb.entries.entry_figures import write_entry_figures
from sveb.publication import build
from sveb.runs.figures import BoardFigures, board_file, read_figures
from sveb.score.board_figures import true_values
from sveb.score.truth import read_truth
from sveb.site import explorer_page as page_module
from sveb.site.site_data import suite_views
from sveb.site.traces import _added, _thousandths, explorer_data, read_problems, read_values
from tests.support import synthetic

HOSTILE = "</script><img src=x onerror=alert(1)> ' \" & {{ 7*7 }} \u202e\u2028"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def built(submissions: Path, out: Path) -> str:
    build(submissions, out)
    return (out / "explore" / "traced@1.0.0.html").read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    (found,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    data: dict[str, Any] = json.loads(found)
    return data


def test_texts_stand_once_and_values_in_the_order_of_the_problems(tmp_path: Path) -> None:
    data = data_of(built(synthetic.traced_entries(tmp_path), tmp_path / "site"))
    problem = data["problems"][0]
    assert (problem["id"], problem["answer"], problem["tier"], problem["root"]) == ("p000", "0", "light", 1)
    first = problem["rollouts"][0]
    # 21*2 should be 42: the third step is the false one, and the second has three siblings.
    assert [step[:2] for step in first["steps"]] == [
        [1, "7*2=14\n"], [2, "14*2=28\n"], [3, "21*2=43\n"], [4, "28*2=56\n"], [5, "35*2=70\n"],
    ]  # fmt: skip
    assert first["steps"][1][2] == ["21+0=21\n", "21+1=22\n", "21+2=23\n"]
    assert first["rest"] == "#### 0"
    # 32 draws: .85, .9, .95, .5, .1, .05, .05, .1 of them are 27, 29, 30, 16, 3, 2, 2, 3 wins.
    wins = np.array([27, 29, 30, 16, 3, 2, 2, 3])
    assert data["truth"]["v"][1:9] == np.rint(wins / 32 * 1000).astype(int).tolist()
    states = sum(
        problem["root"] + sum(1 + len(step[2]) for rollout in problem["rollouts"] for step in rollout["steps"])
        for problem in data["problems"]
    )
    assert states == 6 * (1 + 3 * 5 + 3)
    lists = [*data["truth"].values(), *(each["v"] for each in data["estimators"])]
    assert {len(values) for values in lists} == {states}
    assert all(low <= v <= high for v, low, high in zip(*(data["truth"][k] for k in ("v", "low", "high")), strict=True))


def test_values_are_the_entries_own_and_the_first_look_shows_three_kinds(tmp_path: Path) -> None:
    data = data_of(built(synthetic.traced_entries(tmp_path), tmp_path / "site"))
    by_name = {each["name"]: each for each in data["estimators"]}
    assert {name: each["drawn"] for name, each in by_name.items()} == {
        "sharp": True, "fair": True, "group_mean": True, "blunt": False,
    }  # fmt: skip
    group = data["problems"][0]["group"]
    assert set(by_name["group_mean"]["v"][:19]) == {group}


def test_a_missing_value_is_null_and_never_a_number() -> None:
    values = [0.1234, math.nan, -0.0004, math.inf, 1e9, None]
    assert [_thousandths(value) for value in values] == [123, None, 0, None, 1_000_000, None]


def test_a_state_without_a_truth_has_neither_value_nor_interval(tmp_path: Path) -> None:
    entries = read_entries(synthetic.traced_entries(tmp_path, 1, {"mine": 0.1}))
    (view,) = suite_views(entries)
    suite = write_entry_figures(entries, tmp_path / "figures", [])[view.key]
    assert not isinstance(suite, str)
    truth = read_truth(suite)
    returns = truth.returns
    unknown = replace(returns, n=np.where(np.arange(len(returns.n)) == 6, 0, returns.n), total=returns.total * 0)
    hidden = true_values(replace(truth, returns=unknown))
    assert hidden.mean[:6] == read_figures(BoardFigures, board_file(tmp_path / "figures", view.key)).truth.mean[:6]
    values = {row.entry.metadata.name: read_values(row, view.key) for row in view.rows}
    data = explorer_data(view, hidden, read_problems(suite, hidden), view.rows, values, [])
    assert [index for index, v in enumerate(data["truth"]["v"]) if v is None] == [6]
    assert data["truth"]["low"][6] is data["truth"]["high"][6] is None
    assert data["suite"]["draws"] == [0, 32]


@pytest.mark.parametrize(
    ("before", "text", "added"),
    [("", "ab", "ab"), ("ab", "abc", "c"), ("a\ufffd", "aéb", "éb"), ("abc", "ab", ""), ("x", "y", "y")],
)
def test_what_a_text_adds_survives_a_cut_inside_a_character(before: str, text: str, added: str) -> None:
    assert _added(before, text) == added


def test_a_page_over_the_limit_leaves_out_entries_then_problems_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions = synthetic.traced_entries(tmp_path, 30, estimators={f"e{i}": 0.1 for i in range(9)})
    whole = built(submissions, tmp_path / "whole")
    fixed = len(whole) - len(json.dumps(data_of(whole), separators=(",", ":")))
    limit = fixed + (len(whole) - fixed) // 2
    monkeypatch.setattr(page_module, "LIMIT_BYTES", limit)
    text = built(submissions, tmp_path / "cut")
    assert len(text.encode()) <= limit
    data = data_of(text)
    assert len(data["estimators"]) == 8
    problems, entries = data["left_out"]
    assert problems == f"{len(data['problems'])} of 30 problems, spread evenly over the suite"
    assert entries == "the 8 best-ranked of 10 entries"
    ids = [int(problem["id"][1:]) for problem in data["problems"]]
    assert ids[0] == 0
    assert max(np.diff(ids)) <= min(np.diff(ids)) + 1
    assert data_of(whole)["left_out"] == []


def test_a_suites_text_and_an_entrys_title_stay_text(tmp_path: Path) -> None:
    submissions = synthetic.traced_entries(tmp_path, 2, {"mine": 0.1}, title=HOSTILE, text=HOSTILE)
    text = built(submissions, tmp_path / "site")
    (raw,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert not set("<>&'\u2028\u202e") & set(raw)
    assert text.count("<script") == 2
    assert "<img" not in text
    question = data_of(text)["problems"][0]["question"]
    assert question.startswith("Ada has 2 bags of 21 beads. How many beads?</script><img src=x")
    assert "\u202e" not in question  # spelled out: it would turn the text after it
    assert "\u27e8U+202E\u27e9" in question


def test_the_page_loads_nothing_and_goes_when_its_suite_does(tmp_path: Path) -> None:
    submissions = synthetic.traced_entries(tmp_path, 2, {"mine": 0.1})
    text = built(submissions, tmp_path / "site")
    assert "default-src &#39;none&#39;" in text
    assert not re.search(r'\b(src|href)="(https?:)?//', text)
    (tmp_path / "suites").rename(tmp_path / "elsewhere")
    build(submissions, tmp_path / "site")
    assert list((tmp_path / "site" / "explore").iterdir()) == []
