"""The two consoles, and the common style of tables and of figures with intervals."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sveb.runs.results import Estimate

# A pipe has no width: rows are then as long as needed.
out = Console(width=None if sys.stdout.isatty() else 240)
# A copy of stderr: while an engine loads, its output on descriptor 2 is redirected, but our progress is not.
err = Console(file=os.fdopen(os.dup(2), "w", encoding="utf-8"))


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table in the common style; the columns in `right` hold numbers and are right-aligned."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def figure(estimate: Estimate, places: int = 3, *, interval: bool = True) -> Text:
    """`0.412 [0.371, 0.455]` with the interval dimmed; `n/a` if the figure is not defined."""
    if not math.isfinite(estimate.value):
        return Text("n/a", style="dim")
    text = Text(f"{estimate.value:.{places}f}")
    if interval and (math.isfinite(estimate.low) or math.isfinite(estimate.high)):
        ends = (f"{end:.{places}f}" if math.isfinite(end) else "n/a" for end in (estimate.low, estimate.high))
        text.append(f" [{', '.join(ends)}]", style="dim")
    return text
