"""The expected cost of a generation as a table."""

from __future__ import annotations

from rich import filesize
from rich.table import Table

from sveb.cli.console import table
from sveb.generate.cost import Forecast


def forecast_table(expected: Forecast) -> Table:
    """What a generation will do and cost: expected figures from a short trial."""
    trial, here = expected.trial, expected.seconds_here
    made = table(
        f"plan: {expected.problems:,} problems, about {expected.states:,} states (trial of {trial.rollouts} rollouts, "
        f"{trial.ended} of which ended: {trial.length:.0f} tokens each, {trial.remaining:.0f} after a state, "
        f"{trial.tokens_per_s:,.0f} tokens/s)",
        "stage", "samples", "tokens", "time here", "on 1 H200-class GPU", "on 8", "on 64",
        right=("samples", "tokens", "time here", "on 1 H200-class GPU", "on 8", "on 64"),
    )  # fmt: skip
    rows = [(stage.name, stage.samples, stage.tokens) for stage in expected.stages]
    for name, samples, tokens in [*rows, ("all", sum(row[1] for row in rows), expected.tokens)]:
        share = tokens / expected.tokens
        times = [here * share, *(expected.seconds_on(gpus) * share for gpus in (1, 8, 64))]
        made.add_row(name, f"{samples:,}", f"{tokens:,.0f}", *map(duration, times))
    low, high = expected.tokens_between
    short, long = (duration(here * tokens / expected.tokens) for tokens in (low, high))
    made.caption = (
        f"likely between {low:,.0f} and {high:,.0f} tokens, {short} and {long} here at the trial's speed; about "
        f"{filesize.decimal(int(expected.bytes_on_disk))} on disk; GPU times are estimates (docs/scaling.md) and do "
        "not include the start of the engines"
    )
    made.caption_justify = "left"
    return made


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h` or `2.1 days`."""
    for unit, size, places in (("s", 1.0, 0), ("min", 60.0, 0), ("h", 3600.0, 1)):
        if seconds < size * (90 if unit != "h" else 48):
            return f"{seconds / size:.{places}f} {unit}"
    return f"{seconds / 86400:.1f} days"
