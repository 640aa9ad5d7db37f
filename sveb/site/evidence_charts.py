"""The drawings of the page about scores and training, each a static SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

from sveb.runs.results import Estimate
from sveb.site.evidence_data import DOSES, Doses, TrainedArm
from sveb.site.site_data import number
from sveb.site.svg import Plane, Strip, tag, ticks

_TOP = 2.2  # of the scale of relative efficiencies; longer intervals are cut
_ALONE = (
    "text{font:12px sans-serif;fill:#444}.grid{stroke:#ddd}.reference{stroke:#888;stroke-dasharray:3 4}"
    ".line,.whisker{fill:none;stroke-width:1.6}"
    + "".join(
        f".lambda{i} path{{stroke:{colour}}}.lambda{i} text,.lambda{i} circle{{fill:{colour}}}"
        f".lambda{i} .line{{stroke-dasharray:{dashes}}}"
        for i, (colour, dashes) in enumerate(
            [("#1b5e9b", "none"), ("#00735c", "7 3"), ("#b34700", "2 3"), ("#8a3ab9", "9 3 2 3")]
        )
    )
)
TAUS = Strip(-1.0, 1.0, ((-1.0, "−1"), (0.0, "0"), (1.0, "1")))


def dose_picture(doses: Doses) -> Markup:
    """What each size of one dose leaves of the efficiency of the truth, with intervals, at each lambda."""
    plane = Plane((0.5, len(doses.sizes) + 0.5), (0.0, _TOP), height=320, top=30)
    middle = (len(doses.relative) - 1) / 2
    marks, words = [], []
    for i, (lam, estimates) in enumerate(doses.relative.items()):
        points = [(x + 0.12 * (i - middle), each) for x, each in enumerate(estimates, start=1)]
        shown = [(x, each) for x, each in points if math.isfinite(each.value)]
        inside = [
            plane.line([(x, each.value) for x, each in shown], "line"),
            *(plane.whisker(x, each.low, each.high) for x, each in shown),
            *(tag("circle", cx=plane.at_x(x), cy=plane.at_y(each.value), r=3.0) for x, each in shown),
            tag("text", f"lambda {lam}", class_="title", x=60 + 84 * i, y=16),
        ]
        marks.append(tag("g", *inside, class_=f"lambda{i}"))
        each_size = ", ".join(
            f"{number(each.value, 2)} at {size}" for size, each in zip(doses.sizes, estimates, strict=True)
        )
        words.append(f"lambda {lam}: {each_size}")
    labels = [
        plane.label(size, plane.at_x(x), plane.floor + 18, "middle") for x, size in enumerate(doses.sizes, start=1)
    ]
    return plane.drawing(
        f"Efficiency of the gradient of the truth with {doses.kind}, divided by that of the truth. {'; '.join(words)}.",
        plane.grid(ticks(0.0, _TOP, 5)), [plane.line([(0.5, 1.0), (plane.x[1], 1.0)], "reference")],
        marks, labels, plane.titles(DOSES[doses.kind], "efficiency / that of the truth"),
    )  # fmt: skip


def standalone(drawing: Markup) -> str:
    """A dose picture as a file of its own, with its style in it."""
    start, end = drawing.split(">", 1)
    return f'{start} xmlns="http://www.w3.org/2000/svg">{tag("style", Markup(_ALONE))}{end}'


def tau_strip(tau: Estimate) -> Markup:
    """A tau on the scale from -1 to 1; hollow where its interval contains 0."""
    return TAUS.row(tau, shape="dot" if excludes(tau, 0.0) else "dot hollow")


def excludes(found: Estimate, value: float) -> bool:
    """Whether the interval exists and does not contain the value."""
    return found.low > value or found.high < value


def curves(arms: Sequence[TrainedArm], by: Literal["updates", "tokens"]) -> Markup:
    """Success in training: the mean of each arm as a thick line, each seed as a thin one."""
    run = [(i, arm, arm.mean) for i, arm in enumerate(arms) if arm.mean is not None]
    every = [curve for _, arm, mean in run for curve in (mean, *arm.curves)]
    plane = Plane(
        (0.0, max(getattr(curve, by)[-1] for curve in every)),
        (0.0, top := max(max(curve.success) for curve in every) * 1.04),
        height=340,
        left=54,
    )
    seeds, means, words = [], [], []
    for i, arm, mean in run:
        lines = [plane.line(zip(getattr(each, by), each.success, strict=True), "thin") for each in arm.curves]
        seeds.append(tag("g", *lines, class_=f"arm{i}"))
        points = list(zip(getattr(mean, by), mean.success, strict=True))
        dots = [tag("circle", cx=plane.at_x(x), cy=plane.at_y(y), r=2.6) for x, y in points]
        means.append(tag("g", plane.line(points, "line"), *dots, class_=f"arm{i}"))
        end = f"{points[-1][0]:,.0f} {by}"
        words.append(f"{arm.name}: from {number(points[0][1], 3)} to {number(points[-1][1], 3)} after {end}")
    scale = ticks(0.0, plane.x[1])
    labels = [plane.label(_short(each), plane.at_x(each), plane.floor + 18, "middle") for each in scale]
    return plane.drawing(
        f"Mean success over seeds by {by}. {'; '.join(words)}.",
        plane.grid(ticks(0.0, top), 2), labels, seeds, means,
        plane.titles("updates" if by == "updates" else "tokens sampled", "success on the test problems"),
    )  # fmt: skip


def _short(value: float) -> str:
    """A count in at most five characters: 45, 1.5M, 250k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
