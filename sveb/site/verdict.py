"""The verdict in three lines: against the group mean, inside problems, and at what price."""

from __future__ import annotations

import math
from dataclasses import replace

from sveb.runs.figures import Comparison
from sveb.runs.results import Estimate, Results
from sveb.runs.run_folder import RunFolder
from sveb.site.site_data import interval, number
from sveb.site.visible import visible


def verdict(run: RunFolder, comparison: Comparison | None) -> list[str]:
    """Three lines of plain text."""
    return [_against(run, comparison), _inside(run.results), _price(run.results)]


def standing(run: RunFolder, comparison: Comparison | None) -> str:
    """One of `better`, `worse`, `level` (not separated) and `unknown`, against the group mean."""
    if comparison is None or run.is_group_mean:
        return "unknown" if comparison is None else "level"
    difference, sign = (comparison.skill, 1) if math.isfinite(comparison.skill.value) else (comparison.mse, -1)
    if not (math.isfinite(difference.low) and math.isfinite(difference.high)):
        return "unknown"
    if difference.low <= 0 <= difference.high:
        return "level"
    return "better" if sign * difference.value > 0 else "worse"


def span(estimate: Estimate, places: int) -> str:
    """`0.412 [0.371, 0.455]`, of a figure that exists."""
    return f"{number(estimate.value, places)} {interval(estimate, places)}"


def _against(run: RunFolder, comparison: Comparison | None) -> str:
    if run.is_group_mean:
        return "group_mean is the zero of skill: the average return of the problem's other answers."
    if comparison is None:
        reason = run.results.metrics["skill"].note
        return f"{visible(run.name)} cannot be compared with group_mean: {reason}."
    return f"{replace(comparison, a=visible(run.name)).verdict}."


def _inside(results: Results) -> str:
    within, order = results.metrics["r2_within"], results.metrics["order_steps"]
    if not math.isfinite(within.value):
        return f"Inside problems: no r2_within ({within.note})."
    figures = f"r2_within {span(within, 2)}"
    if math.isfinite(order.value):
        figures += f", order of steps {span(order, 2)} where .50 is chance"
    if not (math.isfinite(within.low) and math.isfinite(within.high)):
        return f"Inside problems: {figures}."
    if within.low > 0:
        return f"Inside problems it follows how the value changes from state to state: {figures}."
    if within.high < 0:
        return f"Inside problems its error is larger than that of one constant value for each problem: {figures}."
    return f"Inside problems it is not separated from one constant value for each problem: {figures}."


def _price(results: Results) -> str:
    if results.alarms:
        badges = ", ".join(dict.fromkeys(visible(str(alarm.get("badge", "alarm"))) for alarm in results.alarms))
        return f"Alarm ({badges}): its figures mean nothing until that is explained."
    worth, cost = results.metrics["worth"], results.info.cost
    what = f"Worth {span(worth, 2)} rollouts a state" if math.isfinite(worth.value) else f"Worth: n/a ({worth.note})"
    used = ", ".join(item.replace("_", " ") for item in results.info.budget) or "the states alone"
    tokens = f"{cost.tokens_sampled_per_state:,.0f} policy tokens sampled and {cost.tokens_read_per_state:,.0f} read"
    return f"{what}; it used {used}, {tokens} a state."
