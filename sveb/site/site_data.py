"""What the pages show, as plain data: suites with ranked rows, columns, number formats."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sveb.entries.entry import Entry
from sveb.entries.results_checks import suite_key
from sveb.entries.verification_records import HIDDEN_TRUTH, REPRODUCED, SELF_REPORTED
from sveb.estimators.registry import unfaithful
from sveb.runs.figures import BoardFigures, RunFigures
from sveb.runs.predictions import BUDGET_ITEMS
from sveb.runs.results import Estimate, Results
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site.rank_notes import ShownRank
from sveb.suite.protocol import PROTOCOLS

MINUS = "\N{MINUS SIGN}"
HEADLINE = (
    "skill", "adv_corr", "mse", "mae_raw", "explained_variance", "r2_within", "spearman", "spearman_within",
    "order_steps", "order_siblings", "worth",
)  # fmt: skip
CEILINGS = {name: f"{name}_ceiling" for name in ("explained_variance", "grad_ev")}
TIERS = {
    SELF_REPORTED: "what its author submitted: nobody else has run its code",
    REPRODUCED: "a maintainer ran its code again and got the same predictions",
    HIDDEN_TRUTH: "a maintainer scored its code on truth that no contributor has seen",
}
TRUTHS = {
    "public": "scored on public truth: the true values are published with the suite, so an estimator may have been "
    "fitted to them, and the leak alarms do not see every such case",
    "hidden": "scored by a maintainer on truth that no contributor has seen",
}
PUBLISHED = {
    "whole": "public: the true values of all problems are published with the suite",
    "public": "public: scores on the problems whose truth is published; the truth of the other problems is not public",
}
BUDGET_TITLES = {item: item.replace("_", " ") for item in BUDGET_ITEMS}


@dataclass(frozen=True)
class Rank:
    """The official place by corrected mse, 1 = best; None without one, and `why` says why.

    `truth`: what the entry was scored on for it. Where entries of a suite were scored on its hidden truth, these alone
    have places, by their mse there.

    `overlaps` counts other entries whose marginal mse interval meets this one's. That is not a test: entries that
    overlap may still be separable on the same problems. `joint` is the test, where the suite's truth is at hand.
    """

    place: int | None
    overlaps: int
    joint: ShownRank | None = None
    truth: Literal["public", "hidden"] = "public"
    why: str | None = None


def not_as_published(results: Results) -> str | None:
    """Why this run is not the published method whose variant it names, on its suite; None if it is."""
    estimator, known = results.info.estimator, PROTOCOLS.get(results.info.suite.protocol)
    visible = known is not None and known.own_rollout_visible
    return unfaithful(estimator.spec, estimator.params, own_rollout_visible=visible)


@dataclass(frozen=True)
class Row:
    """One entry on one suite. `figures` are those beyond its results, None where they were not computed."""

    entry: Entry
    results: Results
    rank: Rank
    figures: RunFigures | None = None

    @property
    def unfaithful(self) -> str | None:
        """Why it is not the published method that it names, on this suite."""
        return not_as_published(self.results)


@dataclass(frozen=True)
class SuiteView:
    """One suite version with its rows, best first.

    `latest`: no higher version of the same suite is shown. `board`: the figures of all its entries together, None where
    they were not computed. `unranked`: why its ranks are not joint intervals, None where they are. `explored`: its
    states have a page. `compared`: its entries have a page that sets any two against each other.
    """

    key: str
    name: str
    version: str
    latest: bool
    rows: list[Row]
    board: BoardFigures | None = None
    unranked: str | None = "joint ranks were not computed"
    explored: bool = False
    compared: bool = False

    @property
    def ranked_on(self) -> Literal["public", "hidden"]:
        """The truth that its places are from."""
        return "hidden" if any(row.rank.truth == "hidden" for row in self.rows) else "public"

    @property
    def results(self) -> Results:
        """Any row's results: for what all rows share (policy, task, bootstrap)."""
        return self.rows[0].results


def suite_views(entries: Sequence[Entry]) -> list[SuiteView]:
    """Every suite that an entry has results on: most entries first by name, latest version first within a name."""
    by_name: dict[str, dict[str, list[tuple[Entry, Results]]]] = {}
    for entry in entries:
        for key, results in entry.results.items():
            by_name.setdefault(results.info.suite.name, {}).setdefault(key, []).append((entry, results))
    found: list[list[SuiteView]] = []
    for name, versions in by_name.items():
        views = [SuiteView(key, name, key.partition("@")[2], False, rank(pairs)) for key, pairs in versions.items()]
        views.sort(key=lambda view: version_order(view.version), reverse=True)
        views[0] = replace(views[0], latest=True)
        found.append(views)
    found.sort(key=lambda views: (-len(views[0].rows), views[0].name))
    return [view for views in found for view in views]


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sort key of a semantic version: a pre-release comes before its release."""
    numbers, _, pre_release = version.partition("+")[0].partition("-")
    return tuple(int(part) for part in numbers.split(".")), not pre_release, pre_release


def rank(pairs: Sequence[tuple[Entry, Results]]) -> list[Row]:
    """Rows in order of corrected mse; equal values share a place, entries without a place come last.

    If entries were scored on hidden truth, they are ranked by their mse there, and the others have no place.
    """
    hidden = {entry.metadata.name: found for entry, results in pairs if (found := _hidden_mse(entry, results))}

    def official(entry: Entry, results: Results) -> Estimate:
        return hidden.get(entry.metadata.name, _UNKNOWN) if hidden else results.metrics["mse"]

    scored = [(official(entry, results), entry, results) for entry, results in pairs]
    scored.sort(key=lambda row: (_nan_last(row[0].value), _nan_last(row[2].metrics["mse"].value), row[1].metadata.name))
    rows = []
    for mine, entry, results in scored:
        better = sum(other.value < mine.value for other, *_ in scored)
        # Each entry's interval meets itself, hence the one that is taken off; a NaN end meets nothing.
        met = sum(other.low <= mine.high and mine.low <= other.high for other, *_ in scored)
        ranked, blind = not math.isnan(mine.value), entry.metadata.name in hidden
        why = None if ranked else "not scored on the hidden truth" if hidden and not blind else "no MSE"
        place = Rank(better + 1 if ranked else None, max(met - 1, 0), truth="hidden" if blind else "public", why=why)
        rows.append(Row(entry, results, place))
    return rows


_UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def _hidden_mse(entry: Entry, results: Results) -> Estimate | None:
    """The mse on the suite's hidden truth, if a maintainer has scored it there."""
    record = entry.records.get(suite_key(results))
    if record is None or not record.hidden or "mse" not in record.hidden:
        return None
    value, low, high = (math.nan if x is None else float(x) for x in record.hidden["mse"])
    return Estimate(value, low, high)


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def decimals(metric: str) -> int:
    """Places after the point: squared errors are small, rollouts' worth is large."""
    if metric == "worth":
        return 2
    return 4 if re.match(r"mse|noise_floor|bias", metric) else 3


def number(value: float, places: int) -> str:
    """A figure with a true minus sign; never "-0.000"."""
    text = f"{value:.{places}f}"
    return f"{MINUS}{text[1:]}" if text.startswith("-") and float(text) != 0 else text.lstrip("-")


def interval(estimate: Estimate, places: int) -> str:
    """The 95 % interval as text; an end that does not exist is n/a."""
    ends = [None if math.isnan(end) else number(end, places) for end in (estimate.low, estimate.high)]
    if ends == [None, None]:
        return "no interval"
    return f"[{', '.join(end or 'n/a' for end in ends)}]"


def index_data(views: Sequence[SuiteView]) -> dict[str, Any]:
    """What the index page embeds. Figures are cut to six digits: the downloads hold them whole."""
    shown = {name for view in views for row in view.rows for name in row.results.metrics}
    return {
        "metrics": [
            {
                "id": name,
                "title": metric.title,
                "direction": metric.direction,
                "definition": metric.definition,
                "places": decimals(name),
                "headline": name in HEADLINE,
            }
            for name, metric in sorted(CATALOGUE.items(), key=lambda item: _headline_first(item[0]))
            if name in shown
        ],
        "budget": BUDGET_TITLES,
        "tiers": TIERS,
        "truths": TRUTHS,
        "suites": [_suite_data(view) for view in views],
    }


def leak(protocol: str) -> dict[str, str] | None:
    """The badge and the text that every page of a suite shows if its protocol leaks; None if it does not.

    Results on a protocol that this sveb does not know are shown without.
    """
    known = PROTOCOLS.get(protocol)
    return {"badge": known.badge, "text": known.leak} if known and known.leak else None


def _headline_first(name: str) -> tuple[int, int]:
    names = list(CATALOGUE)
    return (HEADLINE.index(name) if name in HEADLINE else len(HEADLINE), names.index(name))


def _suite_data(view: SuiteView) -> dict[str, Any]:
    suite = view.results.info.suite
    return {
        "key": view.key,
        "name": view.name,
        "version": view.version,
        "latest": view.latest,
        "unranked": view.unranked,
        "ranked_on": view.ranked_on,
        "explored": view.explored,
        "compared": view.compared,
        "leak": leak(suite.protocol),
        "facts": [
            ["task", suite.task],
            ["policy", suite.policy],
            ["protocol", suite.protocol],
            ["truth", PUBLISHED[view.results.truth]],
            *(
                [name.replace("_", " "), f"{count:,}"]
                for name, count in view.results.counts.items()
                if "missing" not in name
            ),
            ["manifest", suite.checksum[:12]],
        ],
        "bootstrap": view.results.bootstrap,
        "perfect": _perfect(view.results),
        "rows": [_row_data(row, view.key) for row in view.rows],
    }


def _perfect(results: Results) -> dict[str, float]:
    """What knowing every true value would score, where that is not simply the best of the metric's range."""
    known = {name: short(results.metrics[ceiling].value) for name, ceiling in CEILINGS.items()}
    return {name: value for name, value in known.items() if value is not None} | dict(results.perfect)


def _row_data(row: Row, key: str) -> dict[str, Any]:
    metadata, results = row.entry.metadata, row.results
    return {
        "name": metadata.name,
        "title": metadata.title,
        "by": metadata.by,
        "search": f"{metadata.name} {metadata.title} {metadata.by} {metadata.method}"[:400].lower(),
        "rank": row.rank.place,
        "overlaps": row.rank.overlaps,
        "joint": _joint_data(row.rank.joint),
        "truth": row.rank.truth,
        "unranked": row.rank.why,
        "unfaithful": row.unfaithful,
        "tier": row.entry.tier_on(key),
        "budget": results.info.budget,
        "metrics": {name: _estimate_data(estimate) for name, estimate in results.metrics.items()},
        "wall_ms": short(results.info.cost.wall_s_per_state * 1000),
        "sampled": short(results.info.cost.tokens_sampled_per_state),
        "read": short(results.info.cost.tokens_read_per_state),
        "alarms": results.alarms,
        **({"seeds": results.n_seeds} if results.n_seeds > 1 else {}),
        "bins": [
            [_thousandths(x) for x in (bin_.predicted, bin_.truth.value, bin_.truth.low, bin_.truth.high)]
            for bin_ in (row.figures.reliability if row.figures else ())
        ],
        "thirds": [
            [part.label, *_estimate_data(part.metrics["mse"])[:3]]
            for part in results.slices
            if part.by == "position" and "mse" in part.metrics
        ],
    }


def _joint_data(joint: ShownRank | None) -> list[int | str | None] | None:
    return [joint.low, joint.high, joint.group, joint.note] if joint else None


def _estimate_data(estimate: Estimate) -> list[float | str | None]:
    figures = [short(value) for value in (estimate.value, estimate.low, estimate.high)]
    return [*figures, estimate.note] if estimate.note else [*figures]


def _thousandths(value: float) -> int | None:
    return round(1000 * value) if math.isfinite(value) else None


def short(value: float) -> float | None:
    """Cut to six digits; None where it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
