"""The scores of several runs as a table, and remarks on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sveb.cli.console import figure, out, table
from sveb.runs.figures import Comparison
from sveb.runs.results import BySeed, Estimate, Results
from sveb.site.site_data import not_as_published
from sveb.suite.protocol import PROTOCOLS

_WIDTH = 21
_LOW, _HIGH = -0.25, 1.0  # the range of the skill picture
# Metrics other than skill, with their decimals. A wide terminal shows their intervals, a narrow one fewer metrics.
_COLUMNS = {"adv_corr": 2, "mse": 4, "r2_within": 2, "spearman": 2, "order_steps": 2, "order_siblings": 2, "worth": 2}
_WIDE, _NARROW = 165, 120


def skill_picture(skill: Estimate) -> Text:
    """The interval on a line from -0.25 to 1: a dot at the value, a bar at 0 (the group mean); `<`, `>` outside."""
    cells = [" "] * _WIDTH

    def place(value: float) -> int:
        return min(_WIDTH - 1, max(0, round((value - _LOW) / (_HIGH - _LOW) * (_WIDTH - 1))))

    cells[place(0.0)] = "│"
    if math.isfinite(skill.value):
        # An interval without one end is drawn up to the value.
        low, high = (end if math.isfinite(end) else skill.value for end in (skill.low, skill.high))
        for cell in range(place(low), place(high) + 1):
            cells[cell] = "─"
        cells[place(skill.value)] = "<" if skill.value < _LOW else ">" if skill.value > _HIGH else "●"
    return Text("".join(cells))


def results_table(rows: Sequence[tuple[str, Results]], mine: str) -> Table:
    """One row per run, best skill first; the row named `mine` is highlighted."""
    first = rows[0][1].info.suite
    protocol = PROTOCOLS.get(first.protocol)
    leak = f"; protocol {protocol.name}: {protocol.leak_label}" if protocol and protocol.leak else ""
    part = {"hidden": ", hidden truth", "public": ", problems with public truth"}.get(
        rows[0][1].truth, ", public truth"
    )
    over = "problems and seeds" if any(results.n_seeds > 1 for _, results in rows) else "problems"
    title = f"{first.name} {first.version} ({first.task}, {first.policy}){part}: 95 % intervals over {over}{leak}"
    wide, narrow = out.width >= _WIDE, out.width < _NARROW
    shown = ["adv_corr", "mse", "r2_within", "worth"] if narrow else list(_COLUMNS)
    costs = [] if narrow else ["ms/state", "tok/state"]
    numbers = ["skill", *shown, *costs]
    made = table(title, "estimator", "0 group mean, 1 best", *numbers, right=numbers)

    def key(row: tuple[str, Results]) -> float:
        value = row[1].metrics["skill"].value
        return -value if math.isfinite(value) else math.inf

    for name, results in sorted(rows, key=key):
        m, cost = results.metrics, results.info.cost
        seeds = f" ({results.n_seeds} seeds)" if results.n_seeds > 1 else ""
        made.add_row(
            f"{name} (not as published){seeds}" if not_as_published(results) else f"{name}{seeds}",
            skill_picture(m["skill"]),
            figure(m["skill"]),
            *(figure(m[metric], _COLUMNS[metric], interval=wide) for metric in shown),
            *(f"{1000 * cost.wall_s_per_state:.1f}", f"{cost.tokens_sampled_per_state:.0f}")[: len(costs)],
            style="bold cyan" if name == mine else "",
        )
    return made


def remarks(results: Results, comparison: Comparison | None) -> Iterator[str]:
    """What a reader should know besides the table: the verdict, alarms, explained variance, information used."""
    if comparison is not None:
        yield comparison.verdict
    for alarm in results.alarms:
        yield f"[bold red]alarm[/] {escape(', '.join(f'{key}: {value}' for key, value in alarm.items()))}"
    if math.isfinite(results.metrics["explained_variance"].value):
        ev, group, ceiling = (
            figure(results.metrics[f"explained_variance{part}"], interval=False) for part in ("", "_group", "_ceiling")
        )
        yield f"explained variance, as trainers log it: {ev}; group mean {group}, V itself (the ceiling) {ceiling}"
    if results.by_seed is not None:
        yield _of_seeds(results.by_seed)
    if missing := results.counts.get("missing_predictions"):
        yield f"[yellow]{missing} predictions were missing and were replaced by the training mean[/]"
    scored = f"scored on the {results.counts['problems']} problems"
    if results.truth == "public":
        yield f"{scored} with public truth; predictions for the others can be scored by the owner of their truth"
    if results.truth == "hidden":
        yield f"{scored} with hidden truth (it matches the commitment); the scores on all problems are in ...-all.json"
    if why := not_as_published(results):
        yield f"[yellow]not as published:[/] {escape(why)}"
    yield f"information used: {', '.join(results.info.budget) or 'the states alone'}"


def _of_seeds(found: BySeed) -> str:
    known = {name: sd for name, sd in found.seed_sd.items() if math.isfinite(sd)}
    if not any(known.values()):
        return f"the scores are the same with all {len(found.seeds)} seeds: it does not use its seed"
    name, places = ("skill", 3) if "skill" in known else ("mse", 4)
    each = ", ".join(f"{value:.{places}f}" for value in found.values[name])
    seeds = f"seeds {found.seeds[0]} to {found.seeds[-1]}"
    return f"every figure is the mean over {seeds}: {name} {each}, standard deviation {known[name]:.{places}f}"
