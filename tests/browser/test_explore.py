"""Every control of the value-trace explorer, used as a reader would, from file:// with the network shut.

Answer 1 of problem p000 falls from .91 to .06 at step 3, next to three other steps: no fall of the suite is larger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from sveb.publication import build
from tests.support import synthetic

Visitor = Callable[..., Any]
PAGE = "explore/traced@1.0.0.html"


@pytest.fixture
def explore(visit: Visitor, traced: Path) -> Callable[..., Page]:
    def go(address: str = "", **context: Any) -> Page:
        page: Page = visit(PAGE + address, folder=traced, **context).page
        return page

    return go


Explore = Callable[..., Page]


def told(page: Page) -> str:
    return page.inner_text("#told")


def where(page: Page) -> tuple[str, str, str]:
    """Problem, answer and step that are shown."""
    return (
        page.inner_text("#where").split()[0],
        page.locator('#rollouts [aria-pressed="true"]').inner_text().split()[1],
        page.locator('#steps [aria-current="step"] .number').inner_text(),
    )


def listed(page: Page) -> list[int]:
    return page.eval_on_selector_all("#list button", "all => all.map(each => Number(each.dataset.problem))")


def slots_drawn(page: Page) -> list[str]:
    """The colours of the estimators' lines."""
    return page.eval_on_selector_all("#chart g:has(.estimate)", "all => all.map(each => each.getAttribute('class'))")


def data_of(page: Page) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(page.text_content("#data") or "")
    return data


def test_it_opens_at_the_largest_drop_with_the_steps_not_taken_beside_it(explore: Explore) -> None:
    page = explore()
    assert where(page) == ("p000", "1", "step 3")
    assert told(page).startswith("Step 3: V(s) falls from .91 to .06. The estimators say: ")
    assert page.locator(".siblings .step-text").all_inner_texts() == ["21+0=21", "21+1=22", "21+2=23"]
    assert page.locator(".siblings .v").all_inner_texts() == [".94", ".50", ".09"]
    assert page.locator("#chart .estimate").count() == 3
    assert page.locator("#chart .branch").count() == 3
    assert page.text_content("#chart .fall-text") == "−.84"
    assert page.locator("#chart .name, #chart .true-name").count() == 4
    assert page.locator("#steps .end").inner_text().startswith("end")


def test_each_step_shows_its_value_interval_and_change(explore: Explore) -> None:
    page = explore()
    row = page.locator("#steps button.step").nth(3)
    assert row.locator(".step-text").inner_text() == "21*2=43"
    # Jeffreys' interval of 2 wins among 32, from Beta(2.5, 30.5): .013 and .186.
    assert row.locator(".interval").inner_text() == "[.01, .19]"
    assert row.locator(".change").text_content() == ", change ▼ .84"
    assert "true value" in (row.text_content() or "")
    backgrounds = page.eval_on_selector_all(
        "#steps button.step .step-text", "all => all.map(each => getComputedStyle(each).backgroundColor)"
    )
    assert backgrounds[2] != backgrounds[3]
    assert backgrounds[3] == backgrounds[4]  # both .06


def test_jumps_go_to_the_largest_drops_one_after_another(explore: Explore) -> None:
    page = explore()
    truth = data_of(page)["truth"]["v"]
    page.click("#list button >> nth=3")
    page.click("#drop")
    assert where(page) == ("p000", "1", "step 3")
    assert page.inner_text("#status").startswith("Drop 1 of ")
    sizes = []
    for _ in range(4):
        found = re.search(r"falls from (\.?[\d.]+) to (\.?[\d.]+)\.", told(page))
        assert found
        sizes.append(float(found[1]) - float(found[2]))
        page.click("#drop-next")
    assert page.inner_text("#status").startswith("Drop 5 of ")
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx((truth[2] - truth[6]) / 1000, abs=0.011)


def test_jumps_go_to_where_the_chosen_estimator_errs_most(explore: Explore) -> None:
    page = explore()
    data = data_of(page)
    page.select_option("#focus", "blunt")
    page.click("#error")
    assert page.inner_text("#status").startswith("Error 1 of ")
    assert page.is_checked('#estimators label[data-name="blunt"] input')  # what is looked at is drawn
    (blunt,) = [each["v"] for each in data["estimators"] if each["name"] == "blunt"]
    path, at = [], 0
    for problem in data["problems"]:
        at += problem["root"] + len(problem["others"])
        for rollout in problem["rollouts"]:
            for _, _, siblings in rollout["steps"]:
                path.append(at)
                at += 1 + len(siblings)
    worst = max(path, key=lambda i: abs(blunt[i] - data["truth"]["v"][i]))
    shown = re.search(r"blunt\u2069? (−?)(\d*\.\d+)", told(page))
    assert shown
    value = float(shown[2]) * (-1 if shown[1] else 1)
    assert value == pytest.approx(blunt[worst] / 1000, abs=0.0051)
    first = where(page)
    page.click("#error-next")
    assert page.inner_text("#status").startswith("Error 2 of ")
    assert where(page) != first


def test_problems_are_ordered_by_drop_error_and_difficulty(explore: Explore) -> None:
    page = explore()
    groups = [problem["group"] for problem in data_of(page)["problems"]]
    assert listed(page)[0] == 0
    for order, expected in (
        ("suite", list(range(6))),
        ("hard", sorted(range(6), key=lambda i: (groups[i], i))),
        ("easy", sorted(range(6), key=lambda i: (-groups[i], i))),
    ):
        page.select_option("#sort", order)
        assert listed(page) == expected
    page.select_option("#sort", "error")
    keys = [float(text.split()[1]) for text in page.locator("#list .key").all_inner_texts()]
    assert keys == sorted(keys, reverse=True)
    before = page.locator("#list .key").all_inner_texts()
    page.select_option("#focus", "blunt")
    assert page.locator("#list .key").all_inner_texts() != before


def test_a_search_finds_a_phrase_in_questions_answers_and_steps_not_taken(explore: Explore) -> None:
    page = explore()
    problems = data_of(page)["problems"]

    def holding(phrase: str) -> set[int]:
        return {
            i
            for i, problem in enumerate(problems)
            for rollout in problem["rollouts"]
            if phrase in problem["question"] + "".join(text for _, text, _ in rollout["steps"]) + rollout["rest"]
            or any(phrase in other for _, _, others in rollout["steps"] for other in others)
        }

    step = problems[1]["rollouts"][0]["steps"][1][1].strip()
    page.fill("#find", step)
    assert set(listed(page)) == holding(step)
    assert 0 < len(listed(page)) < len(problems)
    page.click('#list [data-problem="1"]')
    assert where(page)[1:] == ("1", "step 2")
    assert set(page.locator("#steps mark").all_inner_texts()) == {step}
    other = problems[0]["rollouts"][0]["steps"][1][2][0].strip()
    page.fill("#find", other)
    assert 0 in listed(page)
    page.fill("#find", "ADA   has")
    assert set(listed(page)) == holding("Ada has")
    assert set(page.locator("#question mark").all_inner_texts()) <= {"Ada has"}
    page.fill("#find", "(no such[ words")
    assert listed(page) == []
    assert page.inner_text("#problems-count").startswith(f"0 of {len(problems)}")
    assert "find=" in page.url
    assert explore(f"#{page.url.partition('#')[2]}").input_value("#find") == "(no such[ words"


def test_a_problem_opens_by_click_and_by_arrow_keys(explore: Explore) -> None:
    page = explore()
    page.select_option("#sort", "suite")
    page.click("#list button >> nth=2")
    assert where(page)[0] == "p002"
    page.keyboard.press("ArrowDown")
    assert where(page)[0] == "p003"
    page.keyboard.press("Home")
    assert where(page)[0] == "p000"
    assert page.locator('#list [aria-current="true"]').count() == 1
    assert page.locator('#list [tabindex="0"]').count() == 1
    page.click("#problems > summary")
    assert not page.is_visible("#list")


def test_arrow_keys_walk_steps_and_answers_and_keep_the_focus(explore: Explore) -> None:
    page = explore()
    page.focus('#steps [aria-current="step"]')
    page.keyboard.press("ArrowUp")
    assert where(page) == ("p000", "1", "step 2")
    page.keyboard.press("ArrowRight")
    assert where(page) == ("p000", "2", "step 2")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    assert where(page) == ("p000", "2", "step 5")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert where(page) == ("p000", "1", "start")
    assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "step"
    page.focus('#rollouts [aria-pressed="true"]')
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert where(page)[1] == "3"
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.click("#rollouts button >> nth=0")
    assert where(page) == ("p000", "1", "step 3")


def test_siblings_fold_one_by_one_and_all_at_once(explore: Explore) -> None:
    page = explore()
    assert page.get_attribute("#steps .fold", "aria-expanded") == "true"
    page.click("#steps .fold")
    assert page.locator(".siblings").count() == 0
    assert page.evaluate("document.activeElement.className") == "fold quiet"
    page.click("#unfold")
    assert page.locator(".siblings").count() == 1
    assert page.inner_text("#unfold") == "Fold all alternatives"
    page.click("#unfold")
    assert page.locator(".siblings").count() == 0
    page.click("#rollouts button >> nth=1")
    assert not page.is_visible("#unfold")


def test_a_step_is_chosen_in_the_chart_and_in_the_list(explore: Explore) -> None:
    page = explore()
    page.locator("#chart .hit").nth(1).click()
    assert where(page)[2] == "step 1"
    page.click("#steps button.step >> nth=5")
    assert where(page)[2] == "step 5"
    assert told(page).startswith("Step 5: V(s) rises from .06 to .09.")


def test_estimators_come_and_go_and_keep_their_colours(explore: Explore) -> None:
    page = explore()
    box = '#estimators label[data-name="{}"] input'.format
    assert slots_drawn(page) == ["slot-0", "slot-1", "slot-2"]
    first = data_of(page)["estimators"][0]["name"]
    page.uncheck(box(first))
    assert slots_drawn(page) == ["slot-1", "slot-2"]
    page.check(box("blunt"))
    assert page.locator("#chart .estimate").count() == 3
    assert page.locator('#estimators label[data-name="blunt"] svg.slot-0').count() == 1
    for name in ("sharp", "fair", "group_mean", "blunt"):
        page.uncheck(box(name))
    assert page.locator("#chart .estimate").count() == 0
    assert page.locator("#chart .true").count() == 1
    assert "The estimators say" not in told(page)


def test_the_chart_has_words_and_a_table(explore: Explore) -> None:
    page = explore()
    label = page.get_attribute("#chart svg", "aria-label") or ""
    assert "largest fall is from .91 to .06 at step 3" in label
    page.click(".as-table summary")
    head = page.locator("#table thead th").all_inner_texts()
    assert head[:4] == ["Step", "Text", "True V(s)", "95 % interval"]
    assert set(head[4:]) == {"sharp", "fair", "group_mean"}
    rows = page.locator("#table tbody tr")
    assert rows.count() == 6
    data = data_of(page)
    cells = rows.nth(3).locator("td, th").all_inner_texts()
    assert cells[:4] == ["step 3", "21*2=43", ".062", "[.013, .186]"]  # 2 of 32
    by_title = {each["title"]: each["v"] for each in data["estimators"]}
    for title, cell in zip(head[4:], cells[4:], strict=True):
        assert float(cell.replace("−", "-")) == pytest.approx(by_title[title][6] / 1000)


def test_the_address_holds_the_state_and_brings_it_back(explore: Explore) -> None:
    page = explore()
    page.select_option("#sort", "suite")
    page.select_option("#focus", "blunt")
    page.check('#estimators label[data-name="blunt"] input')
    page.click("#list button >> nth=4")
    page.click("#rollouts button >> nth=0")
    page.click("#steps button.step >> nth=2")
    assert page.get_attribute("#steps .fold", "aria-expanded") == "false"
    page.click("#steps .fold")
    again = explore("#" + page.url.partition("#")[2])
    assert where(again) == where(page) == ("p004", "1", "step 2")
    assert again.locator(".siblings").count() == page.locator(".siblings").count() == 1
    assert again.input_value("#sort") == "suite"
    assert again.input_value("#focus") == "blunt"
    assert again.locator("#chart .estimate").count() == 4
    assert again.url == page.url


@pytest.mark.parametrize(
    "address",
    ["#problem=none&answer=9&step=x&sort=constructor", "#estimators=__proto__,,nobody&errors=toString", "#%E0%A4%A",
     "#problem=p000&answer=99999999999&step=-3&open=9,a"],
)  # fmt: skip
def test_a_foreign_address_shows_something_true(explore: Explore, address: str) -> None:
    page = explore(address)
    assert where(page)[0] == "p000"
    assert page.locator("#chart .true").count() == 1
    page.click("#drop")
    assert where(page) == ("p000", "1", "step 3")


def test_the_index_leads_here_and_back(visit: Visitor, traced: Path) -> None:
    page = visit(folder=traced).page
    assert page.inner_text('#board tr[data-name="sharp"] td.rank > span >> nth=0').startswith("1")
    assert "joint" not in page.inner_text("#rank-note")
    assert "all ranks are right together with 95 % confidence" in page.inner_text("#rank-note")
    title = page.get_attribute('#board tr[data-name="sharp"] td.rank', "title") or ""
    assert title.startswith("rank 1")
    page.click("#explore")
    assert page.inner_text("h1") == "Where does an answer go wrong?"
    page.click("text=← SVEB leaderboard")
    assert page.inner_text("#suite-name") == "traced 1.0.0"


def test_the_index_of_a_suite_that_is_not_at_hand_says_so(visit: Visitor) -> None:
    page = visit().page
    assert not page.is_visible("#explore")
    assert "overlap is not a test" in page.inner_text("#rank-note")
    assert page.locator("#board td.rank .tie").count() > 0


@pytest.mark.parametrize(
    "context",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}],
    ids=["wide", "dark", "narrow"],
)
def test_axe_finds_no_violation(explore: Explore, context: dict[str, Any]) -> None:
    page = explore(**context)
    page.click(".as-table summary")
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1400, 2200])
def test_no_width_makes_the_page_itself_scroll_sideways(explore: Explore, width: int) -> None:
    page = explore(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    drawn = page.evaluate(
        """() => { const box = document.querySelector("#chart svg").getBoundingClientRect();
                   return [...document.querySelectorAll("#chart .name, #chart .true-name, #chart .outcome")]
                     .map(each => each.getBoundingClientRect())
                     .every(each => each.left >= box.left && each.right <= box.right + 1); }"""
    )
    assert drawn


def test_direct_labels_do_not_cover_one_another(explore: Explore) -> None:
    page = explore("#estimators=sharp,fair,group_mean,blunt")
    tops = page.eval_on_selector_all(
        "#chart .name, #chart .true-name",
        "all => all.map(each => Number(each.getAttribute('y'))).sort((a, b) => a - b)",
    )
    assert len(tops) == 5
    assert all(b - a >= 14.9 for a, b in pairwise(tops))


def test_theme_and_print(explore: Explore) -> None:
    page = explore(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.emulate_media(media="print")
    assert not page.is_visible(".problems")
    assert not page.is_visible(".jumps")
    assert page.is_visible("#chart svg")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_strangers_text_neither_runs_nor_breaks_the_layout(
    visit: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    attack = "</script><img src=x onerror=\"document.title='owned'\"><b>\u202egnol yrev</b> " + "W" * 900
    submissions = synthetic.traced_entries(tmp_path, 2, {"mine": 0.1}, title=attack, text=attack)
    site = build(submissions, tmp_path / "site").parent
    for viewport in ({"width": 390, "height": 844}, {"width": 1400, "height": 900}):
        page = visit(PAGE, folder=site, viewport=viewport).page
        assert page.title() == "Value traces of traced 1.0.0 · SVEB"
        assert page.locator("img").count() == 0
        page.click(".as-table summary")
        page.click("#error")
        assert "<img src=x" in page.inner_text("#question")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#list button").first.bounding_box()["height"] < 200
