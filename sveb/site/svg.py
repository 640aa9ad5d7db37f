"""SVG as text: elements, a plane with axes, and strips that keep their type size at any width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from sveb.runs.results import Estimate
from sveb.site.site_data import number


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element; `class_` is class, `text_anchor` text-anchor. Numbers go to two decimals: the same bytes anywhere."""
    pairs = "".join(f' {k.rstrip("_").replace("_", "-")}="{escape(_text(v))}"' for k, v in attributes.items())
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{name}{pairs}>{inside}</{name}>") if children else Markup(f"<{name}{pairs}/>")


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Plane:
    """A drawing of 400 units' width whose data area runs over the ranges `x` and `y`; beyond, it is cut at the edge."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: int = 384
    left: int = 46
    right: int = 388
    top: int = 12
    bottom: int = 48

    def at_x(self, value: float) -> float:
        """Horizontal place of a value."""
        return self.left + _within(value, self.x) * (self.right - self.left)

    def at_y(self, value: float) -> float:
        """Vertical place of a value."""
        return self.floor - _within(value, self.y) * (self.floor - self.top)

    @property
    def floor(self) -> int:
        """Vertical place of the lower end of the axis."""
        return self.height - self.bottom

    def grid(self, ticks: Sequence[float], places: int = 1) -> list[Markup]:
        """Horizontal lines with their figures."""
        return [
            part
            for value in ticks
            for part in (
                tag("line", class_="grid", x1=self.left, x2=self.right, y1=self.at_y(value), y2=self.at_y(value)),
                self.label(number(value, places), self.left - 8, self.at_y(value) + 4, "end"),
            )
        ]

    def x_labels(self, ticks: Sequence[float], places: int = 1) -> list[Markup]:
        """Figures under the horizontal axis."""
        return [self.label(number(value, places), self.at_x(value), self.floor + 18, "middle") for value in ticks]

    def titles(self, x: str, y: str) -> list[Markup]:
        """What the axes hold."""
        middle = (self.top + self.floor) / 2
        return [
            tag("text", x, class_="title", x=(self.left + self.right) / 2, y=self.height - 8, text_anchor="middle"),
            tag("text", y, class_="title", x=13, y=middle, text_anchor="middle", transform=f"rotate(-90 13 {middle})"),
        ]

    @staticmethod
    def label(text: str, x: float, y: float, anchor: str) -> Markup:
        """A tick's text."""
        return tag("text", text, class_="tick", x=float(x), y=float(y), text_anchor=anchor)

    def whisker(self, x: float, low: float, high: float) -> Markup:
        """A vertical interval with caps; nothing where an end does not exist."""
        if not (math.isfinite(low) and math.isfinite(high)):
            return Markup("")
        at, lower, upper = self.at_x(x), self.at_y(low), self.at_y(high)
        ends = "".join(f"M{_text(at - 4)} {_text(y)}h8" for y in (lower, upper))
        return tag("path", class_="whisker", d=f"M{_text(at)} {_text(lower)}V{_text(upper)}{ends}")

    def line(self, points: Iterable[tuple[float, float]], class_: str) -> Markup:
        """A line through values."""
        d = "L".join(f"{_text(self.at_x(x))} {_text(self.at_y(y))}" for x, y in points)
        return tag("path", class_=class_, d=f"M{d}") if d else Markup("")

    def drawing(self, label: str, *parts: Iterable[Markup]) -> Markup:
        """The whole, with what it says in words for those who do not see it."""
        inside = [part for group in parts for part in group]
        return tag("svg", *inside, class_="plane", viewBox=f"0 0 400 {self.height}", role="img", aria_label=label)


@dataclass(frozen=True)
class Strip:
    """Rows of one horizontal scale from `low` to `high`; places are percentages, so that type and marks never scale.

    `marks`: values that a line shows in every row, each with its label in the axis.
    """

    low: float
    high: float
    marks: tuple[tuple[float, str], ...] = ()

    def at(self, value: float) -> str:
        """Horizontal place: 3 to 97 %, so that a mark at an end is not cut."""
        return f"{_text(3 + 94 * _within(value, (self.low, self.high)))}%"

    def row(self, estimate: Estimate, *more: Markup, shape: str = "dot", ghost: float = math.nan) -> Markup:
        """A dot with its interval; an end that is beyond the scale or does not exist is an arrow.

        `ghost`: another's value, as a bar. `more` is drawn on top.
        """
        parts = [tag("line", class_="reference", x1=self.at(v), x2=self.at(v), y1=0, y2=26) for v, _ in self._inside()]
        if math.isfinite(ghost):
            parts.append(tag("line", class_="ghost", x1=self.at(ghost), x2=self.at(ghost), y1=4, y2=22))
        if math.isfinite(estimate.low) or math.isfinite(estimate.high):
            low = estimate.low if math.isfinite(estimate.low) else -math.inf
            high = estimate.high if math.isfinite(estimate.high) else math.inf
            ends = [self.at(low), self.at(high)]
            parts.append(tag("line", class_="whisker", x1=ends[0], x2=ends[1], y1=13, y2=13))
            beyond = (low < self.low, high > self.high)
            for end, cut, tip in zip(ends, beyond, ("M5 -4L0 0L5 4", "M-5 -4L0 0L-5 4"), strict=True):
                parts.append(
                    tag("svg", tag("path", class_="whisker", d=tip), x=end, y=13, overflow="visible")
                    if cut
                    else tag("line", class_="whisker", x1=end, x2=end, y1=9, y2=17)
                )
        if math.isfinite(estimate.value):
            parts.append(tag("circle", class_=shape, cx=self.at(estimate.value), cy=13, r=5))
        return tag("svg", *parts, *more, class_="strip", aria_hidden="true", width="100%", height=26)

    def axis(self) -> Markup:
        """The marks' labels, for the head or the foot of the rows."""
        parts: list[Markup] = []
        for value, label in self._inside():
            place = _within(value, (self.low, self.high))
            anchor = "start" if place < 0.12 else "end" if place > 0.88 else "middle"
            parts.append(tag("text", label, class_="tick", x=self.at(value), y=13, text_anchor=anchor))
        return tag("svg", *parts, class_="strip", aria_hidden="true", width="100%", height=18)

    def _inside(self) -> list[tuple[float, str]]:
        return [(value, label) for value, label in self.marks if self.low <= value <= self.high]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round values from `low` to `high`."""
    if not high > low:
        return [low]
    size = (high - low) / count
    base = 10.0 ** math.floor(math.log10(size))
    unit = next(step * base for step in (1, 2, 2.5, 5, 10) if step * base >= size * 0.999)
    return [k * unit for k in range(math.ceil(low / unit - 1e-9), math.floor(high / unit + 1e-9) + 1)]


def reach(estimates: Iterable[Estimate], ghosts: Iterable[float] = ()) -> tuple[float, float]:
    """A scale for these: all values and, as far as they do not dwarf the values, the intervals' ends."""
    shown = list(estimates)
    values = [v for v in [*(e.value for e in shown), *ghosts] if math.isfinite(v)]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max(high - low, abs(high), abs(low)) * 0.6 or 1.0
    ends = [end for e in shown for end in (e.low, e.high) if math.isfinite(end)]
    low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    return (low, high) if high > low else (low, low + 1.0)


def _within(value: float, span: tuple[float, float]) -> float:
    return min(1.0, max(0.0, (value - span[0]) / (span[1] - span[0])))
