"""The page of one run: one HTML file that needs nothing else. The same inputs give the same bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sveb.common.files import write_text
from sveb.runs.results import Estimate, Results
from sveb.runs.run_folder import RunFolder, read_run
from sveb.score.arrays import FloatArray
from sveb.score.bootstrap import resample
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.truth import Truth
from sveb.site import charts
from sveb.site import report_figures as figures
from sveb.site import verdict as words
from sveb.site import worst_states as worst
from sveb.site.pages import assets, environment
from sveb.site.reported_runs import beside, open_suite, read_values
from sveb.suite.suite import Suite

HEADLINE = ("skill", "mse", "worth", "order_steps", "r2_within")
BESIDE = 24
_PAIRS = {"steps": "consecutive steps of a rollout", "siblings": "sibling steps from one state"}


@dataclass(frozen=True)
class Report:
    """What was written: the page's path, the verdict's three lines, and all runs that it shows by name."""

    page: Path
    verdict: list[str]
    run: RunFolder
    others: dict[str, Results]


def report(path: Path, suite_name: str | None = None, out: Path | None = None) -> Report:
    """Writes the page of the run at `path` to `out`, by default report.html in its folder.

    Raises `SvebError` where the run is not whole or not of this suite.
    """
    run = read_run(path)
    suite = open_suite(run, suite_name)
    truth, values = read_values(run, suite)
    others = beside(run)
    shown = content(run, suite, truth, values, others)
    target = out or run.folder / "report.html"
    pages = environment()
    body = pages.get_template("report.body.html.j2").render(at="", on="", one="run", many="runs", **shown)
    page = pages.get_template("report.html.j2").render(
        content=Markup(body),
        **shown,
        **assets("report.css"),
        mark=Markup('<meta name="generator" content="sveb report">'),
    )
    write_text(target, page)
    return Report(target, shown["verdict"], run, {other.name: other.results for other in others})


def content(run: RunFolder, suite: Suite, truth: Truth, values: FloatArray, others: list[RunFolder]) -> dict[str, Any]:
    """What report.body.html.j2 shows of `run`, whose `values` (n,) are in the truth's order; `others` stand beside it.

    `verdict` is a list of three lines, `standing` one word: better, worse, level or unknown.
    """
    comparison = None if run.is_group_mean else words.against_group_mean(run, truth, values)
    results, resamples = run.results, resample(len(truth.problem_ids))
    bins, cloud = figures.reliability(truth, values, resamples), figures.cloud(truth, values)
    orders = {
        title: found
        for kind, title in _PAIRS.items()
        if (found := figures.order_by_gap(truth, values, resamples, kind))
    }
    reference = next((other for other in others if other.is_group_mean), None)
    states = worst.worst_states(suite, truth, values)
    return {
        "run": run,
        "results": results,
        "info": results.info,
        "catalogue": CATALOGUE,
        "verdict": words.verdict(run, comparison),
        "standing": words.standing(run, comparison),
        "headline": [_tile(name, results, truth) for name in HEADLINE],
        "comparison": _comparison(run, others),
        "bins": bins,
        "reliability": charts.reliability(bins, values[truth.rows("path")]),
        "cloud": cloud,
        "cloud_chart": charts.cloud(cloud),
        "orders": orders,
        "order_chart": charts.order_by_gap(orders, figures.GAP_EDGES) if orders else "",
        "mark_of": charts.mark,
        "slices": charts.slice_tables(results.slices, reference.results.slices if reference else ()),
        "has_reference": reference is not None,
        "states": [(state, _strip(state)) for state in states],
        "problems": worst.worst_problems(suite, truth, values),
        "binary": truth.binary,
        "figure": charts.figure,
        "isnan": math.isnan,
    }


def _tile(name: str, results: Results, truth: Truth) -> dict[str, object]:
    estimate = results.metrics[name]
    value, interval = charts.figure(name, estimate)
    return {
        "name": name,
        "metric": CATALOGUE[name],
        "value": value,
        "interval": interval,
        "strip": charts.headline(name, estimate, figures.group_mse(truth)) if math.isfinite(estimate.value) else "",
    }


def _comparison(run: RunFolder, others: list[RunFolder]) -> dict[str, object]:
    """This run and the best of those beside it, best skill first, with their intervals on one scale."""

    def key(each: RunFolder) -> tuple[float, str]:
        skill = each.results.metrics["skill"].value
        return (-skill if math.isfinite(skill) else math.inf, each.name)

    shown = sorted([run, *sorted(others, key=key)[: BESIDE - 1]], key=key)
    strip, rows = charts.skills([each.results.metrics["skill"] for each in shown])
    return {
        "axis": strip.axis(),
        "rows": list(zip(shown, rows, strict=True)),
        "left_out": len(others) + 1 - len(shown),
    }


def _strip(state: worst.WorstState) -> Markup:
    return charts.state(state.predicted, Estimate(state.truth, state.low, state.high), state.group_mean)
