"""The drawings of a report, each a static SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from sveb.runs.figures import CELLS, GAP_EDGES, Bin, Cloud, GapBin, WorstState
from sveb.runs.results import Estimate, Slice
from sveb.site.site_data import decimals, interval, number
from sveb.site.svg import Plane, Strip, reach, tag, ticks

_UNIT = (0.0, 1.0)
_FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class SliceRow:
    """A part of the states with its strip; `reference` is the group mean's mse there, NaN where unknown."""

    part: Slice
    reference: float
    strip: Markup


@dataclass(frozen=True)
class SliceTable:
    """The parts of one kind: position, length, ..."""

    by: str
    axis: Markup
    rows: list[SliceRow]


def reliability(bins: Sequence[Bin], histogram: Sequence[int]) -> Markup:
    """Mean truth of each bin against its mean prediction, over a histogram of the predictions in [0, 1]."""
    plane = Plane(_UNIT, _UNIT)
    tallest = max([1, *histogram])
    width = (plane.right - plane.left) / len(histogram)
    bars = [
        tag("rect", class_="bar", x=plane.at_x(i / len(histogram)), width=width - 0.6, height=60 * n / tallest,
            y=plane.floor - 60 * n / tallest)
        for i, n in enumerate(histogram)
        if n
    ]  # fmt: skip
    most = max((b.states for b in bins), default=1)
    marks = [plane.line([(b.predicted, b.truth.value) for b in bins], "thread")]
    for b in bins:
        marks.append(plane.whisker(b.predicted, b.truth.low, b.truth.high))
        size = 3 + 3.5 * math.sqrt(b.states / most)
        marks.append(tag("circle", class_="dot", cx=plane.at_x(b.predicted), cy=plane.at_y(b.truth.value), r=size))
    words = f"{len(bins)} bins of predictions. " + "; ".join(
        f"predicted {number(b.predicted, 2)}, true {number(b.truth.value, 2)}" for b in bins
    )
    return plane.drawing(
        f"Reliability diagram. {words}.", plane.grid(_FIFTHS), plane.x_labels(_FIFTHS),
        plane.titles("mean prediction", "mean truth"), bars, [_diagonal(plane)], marks,
    )  # fmt: skip


def cloud(found: Cloud) -> Markup:
    """Truth against prediction: cells shaded by the number of states, and the sample with its noise bars."""
    plane = Plane(_UNIT, _UNIT)
    most = max((n for _, _, n in found.cells), default=1)
    width, height = (plane.right - plane.left) / CELLS, (plane.floor - plane.top) / CELLS
    cells = [
        tag("rect", class_="cell", x=plane.left + i * width, y=plane.floor - (j + 1) * height, width=width,
            height=height, fill_opacity=0.05 + 0.65 * (n / most) ** 0.4)
        for i, j, n in found.cells
    ] if not found.whole else []  # fmt: skip
    marks = []
    for v, g, low, high in found.sample:
        if math.isfinite(low):
            x = plane.at_x(v)
            marks.append(tag("line", class_="noise", x1=x, x2=x, y1=plane.at_y(low), y2=plane.at_y(high)))
        marks.append(tag("circle", class_="dot small", cx=plane.at_x(v), cy=plane.at_y(g), r=2.6))
    shown = "all of them" if found.whole else f"{len(found.sample)} of them"
    return plane.drawing(
        f"Truth against prediction of {found.states} states, {shown} as dots with the 95 % interval of their truth.",
        plane.grid(_FIFTHS), plane.x_labels(_FIFTHS), plane.titles("prediction", "truth"), cells,
        [_diagonal(plane)], marks,
    )  # fmt: skip


def order_by_gap(series: Mapping[str, Sequence[GapBin]]) -> Markup:
    """Share of pairs in true order by how far apart the truths are, with chance and the ceiling of the truth.

    Up to two series by name: the first as circles, the second as squares.
    """
    edges, count = GAP_EDGES, len(GAP_EDGES) - 1
    plane = Plane((0, count), _UNIT)
    chance = plane.at_y(0.5)
    lines = [tag("line", class_="reference", x1=plane.left, x2=plane.right, y1=chance, y2=chance)]
    lines.append(tag("text", "chance", class_="tick", x=plane.right, y=chance + 14, text_anchor="end"))
    middle = {edge: k + 0.5 for k, edge in enumerate(edges[:-1])}
    offsets = (0.0,) if len(series) == 1 else (-0.2, 0.2)
    marks, words = [], []
    for offset, shape, (name, bins) in zip(offsets, ("circle", "square"), series.items(), strict=False):
        marks.append(plane.line([(middle[b.low] + offset, b.agreement.value) for b in bins], f"thread {shape}"))
        for b in bins:
            x = middle[b.low] + offset
            y = plane.at_y(b.ceiling)
            marks.append(tag("line", class_="ceiling", x1=plane.at_x(x - 0.16), x2=plane.at_x(x + 0.16), y1=y, y2=y))
            inner = plane.whisker(x, b.agreement.low, b.agreement.high)
            dot = mark(shape, plane.at_x(x), plane.at_y(b.agreement.value), hollow=b.small)
            marks.append(tag("g", inner, dot, class_=shape))
        words.append(
            f"{name}: "
            + "; ".join(
                f"gap {_edges(b.low, b.high)}: {number(b.agreement.value, 2)} of {b.pairs} pairs, "
                f"at most {number(b.ceiling, 2)}"
                for b in bins
            )
        )
    steps = [
        plane.label(_edges(low, high), plane.at_x(k + 0.5), plane.floor + 18, "middle")
        for k, (low, high) in enumerate(pairwise(edges))
    ]
    return plane.drawing(
        f"Share of pairs in true order by the gap of their truths. {'. '.join(words)}.", plane.grid(_FIFTHS), steps,
        plane.titles("gap between the two truths", "share in true order"), lines, marks,
    )  # fmt: skip


def mark(shape: str, x: float, y: float, *, hollow: bool = False) -> Markup:
    """A circle or a square of about one size."""
    look = "dot hollow" if hollow else "dot"
    if shape == "square":
        return tag("rect", class_=look, x=x - 5, y=y - 5, width=10, height=10)
    return tag("circle", class_=look, cx=x, cy=y, r=5.5)


def slice_tables(slices: Sequence[Slice], reference: Sequence[Slice]) -> list[SliceTable]:
    """The mse of every part on one common scale, with that of the group mean where `reference` has it."""
    other = {(part.by, part.label): part.metrics["mse"].value for part in reference}
    low, high = reach((part.metrics["mse"] for part in slices), other.values())
    low = min(0.0, low)
    strip = Strip(low, high, tuple((tick, _brief(tick)) for tick in ticks(low, high, 3)))
    tables: dict[str, list[SliceRow]] = {}
    for part in slices:
        ghost = other.get((part.by, part.label), math.nan)
        drawn = strip.row(part.metrics["mse"], shape="dot hollow" if part.small else "dot", ghost=ghost)
        tables.setdefault(part.by, []).append(SliceRow(part, ghost, drawn))
    return [SliceTable(by, strip.axis(), rows) for by, rows in tables.items()]


def skills(estimates: Sequence[Estimate]) -> tuple[Strip, list[Markup]]:
    """Skill of several runs on one scale."""
    low, high = reach(estimates, (0.0, 1.0))
    strip = Strip(low, high, ((0.0, "group mean"), (1.0, "perfect")))
    return strip, [strip.row(estimate) for estimate in estimates]


def headline(name: str, estimate: Estimate, group_mse: float) -> Markup:
    """A metric's interval against the values that give it its meaning."""
    marks: tuple[tuple[float, str], ...] = {
        "skill": ((0.0, "group mean"), (1.0, "perfect")),
        "adv_corr": ((0.0, "knows no step"), (1.0, "perfect")),
        "mse": ((0.0, "perfect"), (group_mse, "group mean")),
        "worth": ((1.0, "1 rollout"),),
        "order_steps": ((0.5, "chance"), (1.0, "ceiling")),
        "r2_within": ((0.0, "constant"), (1.0, "perfect")),
    }[name]
    if not group_mse > 0:  # no error of the group mean to set the mse against
        marks = tuple(mark for mark in marks if mark[1] != "group mean")
    low, high = reach([estimate], [value for value, _ in marks])
    strip = Strip(low, high, marks)
    return strip.row(estimate) + strip.axis()


def state(shown: WorstState) -> Markup:
    """A state's truth with its interval, the prediction as a triangle and the group mean as a bar."""
    strip = Strip(0.0, 1.0, ((0.0, "0"), (1.0, "1")))
    mark = tag(
        "svg", tag("path", class_="guess", d="M0 0L-6 -9H6Z"), x=strip.at(shown.predicted), y=12, overflow="visible"
    )
    return strip.row(Estimate(shown.truth, shown.low, shown.high), mark, ghost=shown.group_mean)


def figure(name: str, estimate: Estimate) -> tuple[str, str]:
    """Value and interval of a metric as text; `n/a` and the reason where it does not exist."""
    if not math.isfinite(estimate.value):
        return "n/a", estimate.note or ""
    return number(estimate.value, decimals(name)), interval(estimate, decimals(name))


def _diagonal(plane: Plane) -> Markup:
    return plane.line([(0, 0), (1, 1)], "reference")


def _edges(low: float, high: float) -> str:
    return f"{low:g} to {high:g}".replace("0.", ".")


def _brief(value: float) -> str:
    return number(value, 2 if abs(value) >= 0.0999 or value == 0 else 3).rstrip("0").rstrip(".") or "0"
