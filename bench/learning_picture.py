"""The learning curves as a picture: skill against training rollouts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sveb.runs.results import Estimate
from sveb.site.svg import Plane, reach, tag, ticks

_COLOURS = ("#0b62a4", "#b34700", "#00735c", "#9a2f78", "#6b5600", "#5147b0")
_STYLE = """
svg { background: #fff; font: 11px sans-serif; } .grid { stroke: #ddd; } .tick, .title { fill: #444; }
.thread { fill: none; stroke-width: 1.6; } .whisker { fill: none; stroke: #888; } .reference { stroke: #666; }
"""


@dataclass(frozen=True)
class Point:
    """Skill after learning from so many rollouts."""

    rollouts: int
    skill: Estimate


def picture(curves: Mapping[str, Sequence[Point]], rollouts: Sequence[int]) -> str:
    """An SVG file: one line for each estimator, with 95 % intervals; 0 is the group mean."""
    low, high = reach([point.skill for points in curves.values() for point in points], (0.0,))
    plane = Plane((math.log(rollouts[0]) - 0.3, math.log(rollouts[-1]) + 0.3), (low, high), right=270)
    zero = plane.at_y(0.0)
    marks = [tag("line", class_="reference", x1=plane.left, x2=plane.right, y1=zero, y2=zero)]
    for place, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        at = [math.log(point.rollouts) + 0.06 * (place - len(curves) / 2) for point in points]
        line = plane.line(zip(at, [point.skill.value for point in points], strict=True), "thread")
        marks.append(tag("g", line, stroke=colour))
        for x, point in zip(at, points, strict=True):
            marks.append(plane.whisker(x, point.skill.low, point.skill.high))
            dot = tag("circle", cx=plane.at_x(x), cy=plane.at_y(point.skill.value), r=3, fill=colour)
            marks.append(dot)
        key = plane.top + 14 + 18 * place
        marks.append(tag("circle", cx=plane.right + 12, cy=key, r=3, fill=colour))
        marks.append(tag("text", name, x=plane.right + 20, y=key + 4))
    labels = [plane.label(f"{n / 1000:g}k", plane.at_x(math.log(n)), plane.floor + 18, "middle") for n in rollouts]
    words = "; ".join(
        f"{name}: " + ", ".join(f"{point.skill.value:.2f} at {point.rollouts}" for point in points)
        for name, points in curves.items()
    )
    drawing = plane.drawing(
        f"Skill against training rollouts. {words}.", plane.grid(ticks(low, high, 5), places=2), labels,
        plane.titles("training rollouts", "skill"), marks, [tag("style", Markup(_STYLE))],
    )  # fmt: skip
    return str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"
