"""The page of a curve over training: each metric at every scored step, with its interval and the group mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from sveb.common.files import write_text
from sveb.runs.series import Point
from sveb.score.metric_catalogue import CATALOGUE, Metric
from sveb.site.pages import assets, environment
from sveb.site.site_data import CEILINGS, decimals, number
from sveb.site.svg import Plane, reach, tag, ticks

_FIRST = ("skill", "r2_within", "collapse", "explained_variance", "mse", "order_steps")


@dataclass(frozen=True)
class Curve:
    """One metric's drawing, with its definition."""

    metric: Metric
    drawing: Markup


def write_series(points: Sequence[Point], name: str, out: Path) -> None:
    """Writes the page of these points, which are in the order of their steps."""
    shared = [metric for metric in points[0].metrics if metric in CATALOGUE and metric not in CEILINGS.values()]
    order = [*(m for m in _FIRST if m in shared), *(m for m in shared if m not in _FIRST)]
    curves = [
        Curve(CATALOGUE[metric], _drawing(CATALOGUE[metric], points))
        for metric in order
        if any(math.isfinite(point.metrics[metric].value) for point in points)
    ]
    page = environment().get_template("series.html.j2").render(
        name=name, points=points, curves=curves, **assets("report.css"),
        mark=Markup('<meta name="generator" content="sveb report">'),
    )  # fmt: skip
    write_text(out, page)


def _drawing(metric: Metric, points: Sequence[Point]) -> Markup:
    found = [(point.step, point.metrics[metric.name]) for point in points if metric.name in point.metrics]
    shown = [(step, estimate) for step, estimate in found if math.isfinite(estimate.value)]
    reference = next((p.group_mean[metric.name].value for p in points if metric.name in p.group_mean), math.nan)
    best = {"up": metric.high, "down": metric.low, "one": 1.0, "zero": 0.0}.get(metric.direction, math.inf)
    ceiling = points[0].metrics.get(CEILINGS.get(metric.name, ""))
    top = (best, "best") if ceiling is None else (ceiling.value, "ceiling: V itself")
    marks = [(value, label) for value, label in ((reference, "group mean"), top) if math.isfinite(value)]
    low, high = reach((estimate for _, estimate in shown), (value for value, _ in marks))
    first, last = points[0].step, points[-1].step
    plane = Plane((first, last) if last > first else (first - 1, first + 1), (low, high), height=300, top=24)
    lines = []
    for value, label in marks:
        y = plane.at_y(value)
        lines.append(tag("line", class_="reference", x1=plane.left, x2=plane.right, y1=y, y2=y))
        below = low < value <= shown[-1][1].value  # on the side where the curve does not end
        lines.append(tag("text", label, class_="tick", x=plane.right, y=y + 11 if below else y - 4, text_anchor="end"))
    drawn = [plane.line([(step, e.value) for step, e in shown], "thread")]
    for step, e in shown:
        drawn.append(plane.whisker(step, max(e.low, low), min(e.high, high)))
        drawn.append(tag("circle", class_="dot", cx=plane.at_x(step), cy=plane.at_y(e.value), r=4))
    words = "; ".join(f"step {step}: {number(e.value, decimals(metric.name))}" for step, e in shown)
    scale = ticks(low, high)
    places = 2 if high - low < 5 else 0
    return plane.drawing(
        f"{metric.title} over training steps. {words}.", plane.grid(scale, places),
        plane.x_labels(ticks(first, last), 0), plane.titles("training step", ""), lines, drawn,
    )  # fmt: skip
