"""The page that asks whether a better score means better training: shipped, finished, partial and broken reports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sveb.common.errors import SvebError
from sveb.site.evidence_charts import dose_picture, standalone
from sveb.site.evidence_data import FOLDER, REGISTERED, read_gradients
from sveb.site.evidence_page import evidence_page
from sveb.site.pages import environment
from tests.support.evidence_reports import write_finished, write_gradients, write_training

ROOT = Path(__file__).resolve().parents[2]


def page_of(folder: Path) -> str:
    return evidence_page(environment().get_template("evidence.html.j2"), folder)


def words(html: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<.*?>", " ", html, flags=re.DOTALL).split())


def conclusions(page: str) -> list[str]:
    return [words(one) for one in re.findall(r'<p class="claim">(.*?)</p>', page, re.DOTALL)]


def test_the_shipped_reports_are_shown_as_far_as_they_are() -> None:
    page = page_of(FOLDER)
    found = read_gradients(FOLDER)
    assert "nano" in found
    for policy, part in found.items():
        tau, raw = part.tau["grad_ev"]["q 1"], json.loads((FOLDER / f"gradients-{policy}.json").read_text())
        assert [tau.value, tau.low, tau.high] == raw["figures"]["tau"]["grad_ev"]["q 1"]
        for name in part.not_run:
            assert re.search(rf"{name}.{{0,200}} not run yet", words(page))
        if part.problems < REGISTERED.get(policy, 0) or part.not_run:
            assert all(one.startswith("It is not decided yet whether") for one in conclusions(page)[:2])
    for policy in REGISTERED:
        assert (f"{policy} : not run yet" in words(page)) == (policy not in found)
    assert len(conclusions(page)) == 3
    assert not re.search(r'\b(src|href)="(https?:)?//', page)


def test_the_picture_in_the_docs_is_that_of_the_page() -> None:
    picture = standalone(dose_picture(read_gradients(FOLDER)["nano"].doses[0]))
    assert (ROOT / "docs/evidence-doses-nano.svg").read_text() == picture + "\n"


def test_without_reports_nothing_is_shown_as_a_figure(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    text = words(page)
    assert all(f"{policy} : not run yet" in text for policy in (*REGISTERED, "smollm2-135m-q4"))
    assert "no training run is finished" in text
    assert 'role="img"' not in page
    assert all(one.startswith("It is not decided yet whether") for one in conclusions(page))


def test_a_finished_experiment_is_judged_by_its_registration(tmp_path: Path) -> None:
    write_finished(tmp_path)
    page = page_of(tmp_path)
    verdicts = [
        "The figures of some policies support, those of others do not, that estimators with a higher grad_ev",
        "The figures support that estimators with a higher adv_corr",
        "The figures support that an estimator that knows which step helped trains a better policy",
    ]
    assert all(one.startswith(verdict) for one, verdict in zip(conclusions(page), verdicts, strict=True))
    assert "not run yet" not in words(page)
    assert page.count('class="plane"') == 3 * 3 + 2
    assert page.count('aria-label="Efficiency of the gradient') == 9
    assert "stacked-half − permuted-half" in words(page)
    assert words(page).count("check: s is 1 at every lambda") == 3
    thin = re.findall(r'class="thin"', page)
    assert len(thin) == 2 * 6 * 5


def test_a_tau_whose_interval_contains_zero_is_hollow(tmp_path: Path) -> None:
    write_gradients(tmp_path, "nano-early", q=[-0.1, -0.3, 0.1], s=[0.6, 0.4, 0.8])
    rows = dict(
        re.findall(r'<tr>\s*<th scope="row">([qs] at lambda [\d.]+).*?</th>(.*?)</tr>', page_of(tmp_path), re.DOTALL)
    )
    assert rows["q at lambda 1"].count("dot hollow") == 3
    assert rows["q at lambda 1"].count("registered</span>") == 1
    assert 'class="clear' not in rows["q at lambda 1"]
    assert "dot hollow" not in rows["s at lambda 0.5"]
    assert rows["s at lambda 0.5"].count('class="clear') == 3


@pytest.mark.parametrize(
    ("problems", "q", "not_run", "status", "side"),
    [
        (
            400,
            [0.5, 0.3, 0.7],
            [],
            "The figures do not support that",
            "the interval lies above 0, against the prediction",
        ),
        (400, [-0.5, -0.7, 0.1], [], "The figures do not support that", "the interval contains 0"),
        (399, [-0.5, -0.7, -0.3], [], "It is not decided yet whether", "so far 399 of 400 problems."),
        (400, [-0.5, -0.7, -0.3], ["critic"], "It is not decided yet whether", "400 of 400 problems, without critic."),
        (400, [None, None, None], [], "The figures do not support that", "no interval; 400 problems."),
    ],
)
def test_the_noise_hypothesis(
    tmp_path: Path, problems: int, q: Any, not_run: list[str], status: str, side: str
) -> None:
    for policy in REGISTERED:
        write_gradients(tmp_path, policy, q, [0.6, 0.4, 0.8], problems, **{"not run": not_run})
    page = page_of(tmp_path)
    assert conclusions(page)[0].startswith(status)
    assert words(page).count(side) >= 2
    assert ("undefined" in words(page)) == (q[0] is None)


def test_a_registered_policy_that_was_not_run_leaves_the_hypotheses_open(tmp_path: Path) -> None:
    write_gradients(tmp_path, "nano", q=[-0.5, -0.7, -0.3], s=[0.6, 0.4, 0.8])
    page = page_of(tmp_path)
    assert all(one.startswith("It is not decided yet whether") for one in conclusions(page))
    assert "nano-early: not run yet." in words(page)


@pytest.mark.parametrize(
    ("gain", "arms", "seeds", "status", "basis"),
    [
        (
            0.06,
            ["group_mean", "stacked"],
            5,
            "It is not decided yet whether",
            "two arms that decide it were not trained",
        ),
        (
            0.06,
            None,
            1,
            "It is not decided yet whether",
            "no interval of area by updates; seeds: 1, needed: not known yet.",
        ),
        (0.006, None, 5, "The figures do not support that", "of area by updates; seeds: 5, needed: 1."),
    ],
)
def test_training_is_judged_by_the_permuted_control(
    tmp_path: Path, gain: float, arms: list[str] | None, seeds: int, status: str, basis: str
) -> None:
    write_training(tmp_path, gain, arms, seeds)
    page = page_of(tmp_path)
    assert conclusions(page)[2].startswith(status)
    assert basis in words(page)
    assert words(page).count("not run yet") == (4 if arms else 0) + 7


def test_a_report_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "gradients-nano.json").write_text('{"figures": {"problems": 50}}')
    with pytest.raises(SvebError, match=r"gradients-nano.json is not a report of this version's bench.gradients .*tau"):
        page_of(tmp_path)
    (tmp_path / "gradients-nano.json").unlink()
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(SvebError, match=r"a report of bench.training: .*training.json is not valid JSON"):
        page_of(tmp_path)
