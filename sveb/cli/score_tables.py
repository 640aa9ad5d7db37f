"""Tables of `sveb score`, `sveb compare`, `sveb suite refresh` and `sveb selfcheck`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sveb.cli.console import figure, table
from sveb.runs.figures import Comparison
from sveb.runs.results import Estimate, Results
from sveb.score.compare import Comparisons
from sveb.score.drift import Drift
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.rank_intervals import POWER
from sveb.score.selfcheck import Claim

_WIDTH = 41
_ARROWS = {"up": "↑", "down": "↓", "zero": "→0", "one": "→1", "none": ""}


def metrics_table(results: Results) -> Table:
    """Every metric with its interval, or the reason why it is not defined."""
    suite = results.info.suite
    seeds = f" and {results.n_seeds} seeds" if results.n_seeds > 1 else ""
    made = table(
        f"{results.info.estimator.name} on {suite.name} {suite.version}: 95 % intervals over problems{seeds}",
        "metric", "better", "value", "definition, or why it is undefined", right=["value"],
    )  # fmt: skip
    for name, estimate in results.metrics.items():
        metric = CATALOGUE[name]
        about = metric.definition
        if name in results.perfect:
            about += f"; V itself: {results.perfect[name]:.3f}"
        text = Text(estimate.note, style="yellow") if estimate.note else Text(about, style="dim")
        made.add_row(name, _ARROWS[metric.direction], figure(estimate, 4), text)
    return made


def slices_table(results: Results) -> Table:
    """The scores of every slice of the states; slices of few problems are marked."""
    made = table(
        "Parts of the states", "by", "part", "states", "problems", "mse", "bias", "mae_raw", "",
        right=["states", "problems", "mse", "bias", "mae_raw"],
    )  # fmt: skip
    before = ""
    for part in results.slices:
        made.add_row(
            part.by if part.by != before else "",
            escape(part.label),
            str(part.states),
            str(part.problems),
            *(figure(part.metrics[name], 4) for name in ("mse", "bias", "mae_raw")),
            Text("few problems: imprecise", style="yellow") if part.small else "",
        )
        before = part.by
    return made


def ranks_table(found: Comparisons) -> Table:
    """Entries by rank, with the interval of the rank and the group of entries that cannot be told apart."""
    made = table(
        "Ranks by mse: all intervals together are right in 95 % of suites",
        "rank", "tied", "entry", "skill", "mse", right=["rank", "tied"],
    )  # fmt: skip
    ranking = found.ranking
    for i, name in enumerate(ranking.names):
        low, high = int(ranking.rank_low[i]), int(ranking.rank_high[i])
        metrics = found.metrics[name]
        made.add_row(
            str(low) if low == high else f"{low} to {high}",
            chr(ord("a") + (int(ranking.tie_group[i]) - 1) % 26),
            escape(name),
            figure(metrics["skill"]),
            figure(metrics["mse"], 4),
        )
    return made


def differences_table(found: Comparisons) -> Table:
    """The first entry against each other one: the paired difference, and how many problems would separate them."""
    title, shown = _difference(found.against)
    first = found.against[0].a
    made = table(
        f"{escape(first)} minus each of the others, {title}: the line is the 95 % interval, │ is no difference",
        "against", "worse", "", "better", title, "problems to separate", right=[title, "problems to separate"],
    )  # fmt: skip
    ends = [abs(x) for e in shown for x in (e.low, e.high, e.value) if math.isfinite(x)]
    reach = max([*ends, 1e-9])
    for comparison, estimate in zip(found.against, shown, strict=True):
        needed = found.ranking.needed(comparison.a, comparison.b)
        made.add_row(
            escape(comparison.b), "", _bar(estimate, reach), "", figure(estimate, 4),
            f"{needed:,.0f}" if math.isfinite(needed) else "more seeds" if math.isinf(needed) else "no difference",
        )  # fmt: skip
    made.caption = (
        f"problems to separate: at joint 95 % confidence, with probability {POWER:.0%}, if they differ as they do here"
    )
    made.caption_justify = "left"
    return made


def drift_table(found: Drift, old: str, new: str) -> Table:
    """Entries by rank on the new truth, with the change; entries that lost more than chance explains are marked."""
    made = table(
        f"mse on the truth of {escape(old)} and of {escape(new)}, the same predictions: 95 % intervals over problems",
        "entry", old, new, "change", "standard errors", "rank before", "rank now", "",
        right=[old, new, "change", "standard errors", "rank before", "rank now"],
    )  # fmt: skip
    for entry in found.entries:
        made.add_row(
            escape(entry.name), figure(entry.old, 4), figure(entry.new, 4), figure(entry.change, 4), f"{entry.z:+.1f}",
            *(str(low) if low == high else f"{low} to {high}" for low, high in (entry.old_rank, entry.new_rank)),
            Text("fits the noise of the old truth", style="bold red") if entry.overfits else "",
        )  # fmt: skip
    return made


def drift_line(found: Drift) -> str:
    """How much the true values changed."""
    return (
        f"true values changed by {figure(found.value, 4)} on average; their squared change is {figure(found.spread)} "
        "times what chance explains (1: the same policy)"
    )


def verdicts(found: Comparisons) -> Iterator[str]:
    """One sentence per compared pair."""
    for comparison in found.against:
        yield escape(comparison.verdict)


def claims_table(claims: Sequence[Claim]) -> Table:
    """Each claim of `sveb selfcheck`, the figure that was found, and the verdict."""
    made = table("Self-check on a policy with known values", "claim", "figure", "verdict")
    for claim in claims:
        verdict = Text("holds", style="green") if claim.holds else Text("fails", style="bold red")
        made.add_row(escape(claim.claim), escape(claim.figure), verdict)
    return made


def _difference(against: Sequence[Comparison]) -> tuple[str, list[Estimate]]:
    """Skill if it is defined, else -mse: larger is better in both."""
    if all(math.isfinite(c.skill.value) for c in against):
        return "skill", [c.skill for c in against]
    return "-mse", [Estimate(-c.mse.value, -c.mse.high, -c.mse.low, c.mse.note) for c in against]


def _bar(estimate: Estimate, reach: float) -> Text:
    cells = [" "] * _WIDTH

    def place(value: float) -> int:
        return round((value / reach + 1) / 2 * (_WIDTH - 1))

    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        for cell in range(place(estimate.low), place(estimate.high) + 1):
            cells[cell] = "─"
    cells[_WIDTH // 2] = "│"
    if math.isfinite(estimate.value):
        cells[place(estimate.value)] = "●"
    apart = estimate.low > 0 or estimate.high < 0
    return Text("".join(cells), style=("green" if estimate.value > 0 else "red") if apart else "")
