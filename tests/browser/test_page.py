"""Every control of the leaderboard page, used as a reader would, from file:// with the network shut."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from sveb.publication import build
from tests.support import synthetic

Visitor = Callable[..., Any]


def names(page: Page) -> list[str]:
    return page.eval_on_selector_all("#board tbody tr", "rows => rows.map(row => row.dataset.name)")


def column(page: Page, column_id: str) -> list[str]:
    """The cells of a column as shown, without the words that only a screen reader gets."""
    return page.evaluate(
        """id => {
          const at = [...document.querySelectorAll("#board thead th")].findIndex(th => th.dataset.column === id);
          return [...document.querySelectorAll("#board tbody tr")].map(row => {
            const cell = row.children[at].cloneNode(true);
            cell.querySelectorAll(".hidden, .interval, .by, .tie, .badge").forEach(part => part.remove());
            return cell.textContent.trim();
          });
        }""",
        column_id,
    )


def figures(page: Page, column_id: str) -> list[float | None]:
    cells = [cell.replace("−", "-").replace(",", "") for cell in column(page, column_id)]
    return [None if cell == "n/a" else float(cell) for cell in cells]


def open_menu(page: Page, menu: str) -> None:
    if page.get_attribute(menu, "open") is None:
        page.click(f"{menu} > summary")


def test_it_opens_ranked_with_the_latest_suite(visit: Visitor) -> None:
    page = visit().page
    assert page.inner_text("#suite-name") == "ledger-nano 1.1.0"
    assert figures(page, "rank") == list(range(1, 13))
    mse = figures(page, "mse")
    assert mse == sorted(mse)  # type: ignore[type-var]
    assert page.inner_text("#status") == "12 of 12 entries, sorted by Rank, ascending"
    assert page.locator("#chart svg g.class-c").count() == 4
    assert "missing predictions" not in page.inner_text("#facts")


# Clicks each column's head twice. What a cell shows is a rounded figure; of some columns the row's own is compared.
SORT_ALL = """() => {
  const rows = JSON.parse(document.getElementById("data").textContent).suites[0].rows;
  const by = Object.fromEntries(rows.map(row => [row.name, row]));
  const own = {
    name: row => row.title, tokens: row => row.sampled + row.read, wall_ms: row => row.wall_ms,
    budget: row => row.budget.length, tier: () => 0,
  };
  const heads = () => [...document.querySelectorAll("#board thead th")];
  const shown = cell => {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(".hidden, .interval, .by, .tie, .badge").forEach(part => part.remove());
    const text = copy.textContent.trim().replaceAll("−", "-").replaceAll(",", "");
    return text === "n/a" ? null : Number(text);
  };
  const found = [];
  for (const [at, id] of heads().map(head => head.dataset.column).entries()) {
    for (let click = 0; click < 2; click++) {
      heads()[at].querySelector("button").click();
      found.push({
        id, direction: heads()[at].getAttribute("aria-sort"),
        sorted: heads().filter(head => head.hasAttribute("aria-sort")).length,
        values: [...document.querySelectorAll("#board tbody tr")].map(
          row => id in own ? own[id](by[row.dataset.name]) : shown(row.children[at])),
      });
    }
  }
  return found;
}"""


def test_every_column_sorts_both_ways_with_missing_figures_last(visit: Visitor) -> None:
    page = visit().page
    open_menu(page, "#columns-menu")
    page.eval_on_selector_all("#columns input:not(:checked)", "boxes => boxes.forEach(box => box.click())")
    page.keyboard.press("Escape")
    seen: dict[str, set[str]] = {}
    for each in page.evaluate(SORT_ALL):
        column_id, values = each["id"], each["values"]
        assert each["sorted"] == 1
        present = [value for value in values if value is not None]
        assert present == sorted(present, reverse=each["direction"] == "descending"), column_id
        assert None not in values[: len(present)], column_id
        assert None in values or column_id != "worth"
        seen.setdefault(column_id, set()).add(each["direction"])
    assert len(seen) > 25
    assert all(directions == {"ascending", "descending"} for directions in seen.values())


def test_sorting_by_a_metric_begins_with_the_best(visit: Visitor) -> None:
    page = visit().page
    page.click('th[data-column="skill"] button')
    assert names(page)[0] == "mc-k9"
    page.click('th[data-column="mae_raw"] button')
    assert names(page)[0] == "mc-k9"


def test_sorting_works_from_the_keyboard_and_keeps_the_focus(visit: Visitor) -> None:
    page = visit().page
    page.focus('th[data-column="skill"] button')
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert page.get_attribute('th[data-column="skill"]', "aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.closest('th').dataset.column") == "skill"


def test_search_takes_names_and_methods_and_says_when_nothing_matches(visit: Visitor) -> None:
    page = visit().page
    page.fill("#search", "NUMCA official")
    assert names(page) == ["numca-variantofficial"]
    page.fill("#search", "values by hista")
    assert names(page) == ["hista-variantstandard-layer-1"]
    page.fill("#search", "nothing like it")
    assert "No entry matches" in page.inner_text("#board tbody")
    assert page.inner_text("#status").startswith("0 of 12")
    page.click("#reset")
    assert len(names(page)) == 12


def test_information_filter_leaves_entries_that_need_nothing_else(visit: Visitor) -> None:
    page = visit().page
    open_menu(page, "#budget-menu")
    for item in ("extra_rollouts", "hidden_states", "logprobs"):
        page.uncheck(f'#budget input[value="{item}"]')
    assert set(names(page)) == {"numca-variantbackoff", "numca-variantofficial", "position", "group-mean", "constant"}
    assert page.inner_text("#budget-count") == "5 of 8"
    assert page.locator("#chart svg g").count() == 5
    page.check('#budget input[value="logprobs"]')
    assert len(names(page)) == 6
    page.mouse.click(700, 8)
    assert page.get_attribute("#budget-menu", "open") is None


def test_column_picker_adds_and_removes(visit: Visitor) -> None:
    page = visit().page
    open_menu(page, "#columns-menu")
    page.check('#columns input[value="ece"]')
    page.uncheck('#columns input[value="mae_raw"]')
    ids = page.eval_on_selector_all("#board thead th", "heads => heads.map(head => head.dataset.column)")
    assert "ece" in ids
    assert "mae_raw" not in ids
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.parentElement.id") == "columns-menu"


def test_suites_switch_and_older_versions_say_so(visit: Visitor) -> None:
    page = visit().page
    assert page.locator('#suite optgroup[label="ledger-nano"] option').all_inner_texts() == [
        "ledger-nano 1.1.0", "ledger-nano 1.0.0 (older)",
    ]  # fmt: skip
    page.select_option("#suite", "ledger-nano@1.0.0")
    assert len(names(page)) == 6
    assert page.inner_text("#suite-badge") == "older version"
    assert page.get_attribute("#csv", "href") == "data/ledger-nano@1.0.0.csv"
    page.select_option("#suite", "ledger-nano@1.1.0")
    assert len(names(page)) == 12
    assert page.inner_text("#suite-badge") == "latest"


def test_the_address_holds_the_state_and_brings_it_back(visit: Visitor, site: Path) -> None:
    page = visit().page
    assert page.url == (site / "index.html").as_uri()
    page.select_option("#suite", "ledger-nano@1.0.0")
    page.click('th[data-column="worth"] button')
    page.fill("#search", "probe")
    open_menu(page, "#columns-menu")
    page.uncheck('#columns input[value="mse"]')
    address = page.url
    again = visit("index.html" + address.partition("index.html")[2]).page
    assert again.inner_text("#suite-name") == "ledger-nano 1.0.0"
    assert again.input_value("#search") == "probe"
    assert names(again) == names(page) == ["probe-group-kappa4.0"]
    assert again.get_attribute('th[data-column="worth"]', "aria-sort") == "descending"
    assert again.locator('th[data-column="mse"]').count() == 0


@pytest.mark.parametrize(
    "address", ["suite=none&sort=none&order=none&without=x&columns=y", "sort=constructor", "sort=__proto__", "%E0%A4%A"]
)
def test_a_foreign_address_falls_back_to_the_defaults(visit: Visitor, address: str) -> None:
    page = visit(f"index.html#{address}").page
    assert len(names(page)) == 12
    assert figures(page, "rank") == list(range(1, 13))


def test_theme_follows_the_system_until_the_toggle_overrides_it(visit: Visitor) -> None:
    page = visit(color_scheme="dark").page
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.reload()
    assert page.get_attribute("#theme", "aria-pressed") == "false"


def test_a_missing_figure_gives_its_reason_to_eye_and_ear(visit: Visitor) -> None:
    page = visit().page
    cell = page.locator('tr[data-name="constant"] td.na')
    assert cell.count() == 1
    reason = "unbounded: the corrected mse is not above zero"
    assert cell.get_attribute("title") == reason
    assert cell.text_content() == f"n/a: {reason}"


def test_an_entry_has_its_page_and_a_way_back(visit: Visitor) -> None:
    page = visit().page
    page.click('tr[data-name="answer-likelihood"] a')
    expect(page.locator("h1")).to_have_text("answer_likelihood")
    assert page.locator("table.metrics tbody tr").count() > 20
    assert "sveb eval submissions/2026-01-31_answer-likelihood/estimator.py:Mine" in page.inner_text("main")
    page.click("details summary")
    assert "def predict(problem)" in page.inner_text("details pre")
    page.click("text=← SVEB leaderboard")
    expect(page.locator("h1")).to_contain_text("V(s)")
    page.click('tr[data-name="constant"] a')
    assert "n/a: unbounded" in page.inner_text("main")


@pytest.mark.parametrize("path", ["index.html", "entries/mc-k9.html", "entries/answer-likelihood.html"])
@pytest.mark.parametrize(
    "context",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}],
    ids=["wide", "dark", "narrow"],
)
def test_axe_finds_no_violation(visit: Visitor, path: str, context: dict[str, Any], tmp_path: Path) -> None:
    page = visit(path, **context).page
    for details in page.locator("details").all():
        details.evaluate("menu => { menu.open = true; }")
    result = Axe().run(page)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert result.violations_count == 0, result.generate_report()
    assert (tmp_path / "page.png").stat().st_size > 20_000


@pytest.mark.parametrize("path", ["index.html", "entries/answer-likelihood.html"])
def test_no_width_makes_the_page_itself_scroll_sideways(visit: Visitor, path: str) -> None:
    page = visit(path).page
    for width in (320, 390, 768, 1100, 1400, 2200):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()  # charts are drawn for the width that they find
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_print_shows_the_figures_without_the_controls(visit: Visitor) -> None:
    page = visit(color_scheme="dark").page
    page.emulate_media(media="print")
    assert not page.is_visible(".controls")
    assert page.is_visible("#board")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert re.match(rb"%PDF", page.pdf())


def test_a_strangers_text_neither_runs_nor_breaks_the_layout(visit: Visitor, tmp_path: Path) -> None:
    attack = "</script><img src=x onerror=\"document.title='owned'\"><b>\u202egnol yrev</b> " + "W" * 3000
    for index, text in enumerate([attack, "\u202e\u05d0\u05d1\u05d2 " + "\u05d0" * 500, "𝕏" * 300]):
        run = synthetic.write_run(
            tmp_path / "runs" / str(index), text, {"key " + text: text}, 0.01 * (index + 1), code=text,
            alarms=({"badge": text[:300], "evidence": text},),
        )  # fmt: skip
        synthetic.make_entry(
            run, tmp_path / "submissions", date=synthetic.DATE, name=f"n{'m' * 60}{index}", title=text, team=text,
            authors=[text], method=text, licence=text, hardware=text, links=["https://example.org/" + "a" * 2000],
        )  # fmt: skip
    site = build(tmp_path / "submissions", tmp_path / "site").parent
    for viewport in ({"width": 390, "height": 844}, {"width": 1400, "height": 900}):
        page = visit(folder=site, viewport=viewport).page
        assert len(names(page)) == 3
        assert page.locator("img").count() == 0
        assert page.title() == "SVEB leaderboard: state value estimation"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#board tbody tr").first.bounding_box()["height"] < 400  # type: ignore[index]
        page.click("#board tbody a >> nth=0")
        expect(page.locator("h1")).to_contain_text("</script><img src=x")
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_many_entries_are_charted_in_part_until_all_are_asked_for(visit: Visitor, tmp_path: Path) -> None:
    site = build(synthetic.write_entries(tmp_path, 20), tmp_path / "site").parent
    page = visit(folder=site).page
    assert page.locator("#chart svg g").count() == 16
    page.click("#more")
    assert page.locator("#chart svg g").count() == 20
    page.click("#more")
    assert page.locator("#chart svg g").count() == 16
    assert page.locator("#multiples li").count() == 12
    page.click("#multiples-more")
    assert page.locator("#multiples li").count() == 20


def test_a_page_without_entries_opens(visit: Visitor, tmp_path: Path) -> None:
    (tmp_path / "submissions").mkdir()
    page = visit(folder=build(tmp_path / "submissions", tmp_path / "site").parent).page
    assert "No entries yet" in page.inner_text("main")
    assert Axe().run(page).violations_count == 0
