"""The page of one run: one HTML file that needs nothing else. The same inputs give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sveb.common.errors import SvebError
from sveb.common.files import write_text
from sveb.runs.figures import RunFigures
from sveb.runs.results import Results
from sveb.runs.run_folder import RunFolder, read_run
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site import charts
from sveb.site import verdict as words
from sveb.site.pages import assets, environment

HEADLINE = ("skill", "adv_corr", "mse", "worth", "order_steps", "r2_within")
SHOWN_RUNS = 24
_PAIRS = {"steps": "consecutive steps of a rollout", "siblings": "sibling steps from one state"}


def write_report(run: RunFolder, figures: RunFigures, others: Sequence[RunFolder], out: Path) -> list[str]:
    """Writes the page of `run` next to `others` of the same suite, and returns the three lines of its verdict."""
    shown = content(run, figures, others)
    pages = environment()
    body = pages.get_template("report.body.html.j2").render(at="", on="", one="run", many="runs", **shown)
    page = pages.get_template("report.html.j2").render(
        content=Markup(body),
        **shown,
        **assets("report.css"),
        mark=Markup('<meta name="generator" content="sveb report">'),
    )
    write_text(out, page)
    verdict: list[str] = shown["verdict"]
    return verdict


def runs_of_same_suite(run: RunFolder) -> list[RunFolder]:
    """The other runs in the same folder that were scored on the same suite, by name.

    One that is broken or of another suite is left out: the page does not need it.
    """
    found = []
    for folder in sorted(run.folder.resolve().parent.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir() or folder == run.folder.resolve():
            continue
        try:
            other = read_run(folder)
        except (SvebError, OSError):
            continue
        if other.results.info.suite.checksum == run.results.info.suite.checksum:
            found.append(other)
    return found


def content(run: RunFolder, figures: RunFigures, others: Sequence[RunFolder]) -> dict[str, Any]:
    """What report.body.html.j2 shows of `run`, whose `figures` these are, next to `others`.

    `verdict` is a list of three lines, `standing` one word: better, worse, level or unknown.
    """
    comparison = None if run.is_group_mean else figures.against_group_mean
    results = run.results
    orders = {title: figures.order[kind] for kind, title in _PAIRS.items() if kind in figures.order}
    reference = next((other for other in others if other.is_group_mean), None)
    return {
        "run": run,
        "results": results,
        "info": results.info,
        "catalogue": CATALOGUE,
        "verdict": words.verdict(run, comparison),
        "standing": words.standing(run, comparison),
        "headline": [_tile(name, results, figures.group_mse) for name in HEADLINE],
        "comparison": _comparison(run, others),
        "bins": figures.reliability,
        "reliability": charts.reliability(figures.reliability, figures.histogram),
        "cloud": figures.cloud,
        "cloud_chart": charts.cloud(figures.cloud),
        "orders": orders,
        "order_chart": charts.order_by_gap(orders) if orders else "",
        "mark_of": charts.mark,
        "slices": charts.slice_tables(results.slices, reference.results.slices if reference else ()),
        "has_reference": reference is not None,
        "states": [(state, charts.state(state)) for state in figures.states],
        "problems": figures.problems,
        "binary": figures.binary,
        "figure": charts.figure,
        "isnan": math.isnan,
    }


def _tile(name: str, results: Results, group_mse: float) -> dict[str, object]:
    estimate = results.metrics[name]
    value, interval = charts.figure(name, estimate)
    return {
        "name": name,
        "metric": CATALOGUE[name],
        "value": value,
        "interval": interval,
        "strip": charts.headline(name, estimate, group_mse) if math.isfinite(estimate.value) else "",
    }


def _comparison(run: RunFolder, others: Sequence[RunFolder]) -> dict[str, object]:
    """This run and the best of the others, best skill first, with their intervals on one scale."""

    def key(each: RunFolder) -> tuple[float, str]:
        skill = each.results.metrics["skill"].value
        return (-skill if math.isfinite(skill) else math.inf, each.name)

    shown = sorted([run, *sorted(others, key=key)[: SHOWN_RUNS - 1]], key=key)
    strip, rows = charts.skills([each.results.metrics["skill"] for each in shown])
    return {
        "axis": strip.axis(),
        "rows": list(zip(shown, rows, strict=True)),
        "left_out": len(others) + 1 - len(shown),
    }
