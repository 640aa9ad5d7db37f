"""The figures behind the page, whole: a CSV to compute with, a JSON that holds everything."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, fields
from typing import Any

from sveb.common.files import dump_json
from sveb.runs.predictions import Cost
from sveb.score.metric_catalogue import CATALOGUE
from sveb.site.site_data import SuiteView


def as_csv(view: SuiteView) -> str:
    """One line an entry, in order of rank; an empty cell is a figure that does not exist.

    Only checked names and figures: no free text, which a spreadsheet could take for a formula.
    """
    metrics = [name for name in CATALOGUE if any(name in row.results.metrics for row in view.rows)]
    costs = [field.name for field in fields(Cost)]
    several = any(row.results.n_seeds > 1 for row in view.rows)  # a column that most suites do not need
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = [column for name in metrics for column in (name, f"{name}_low", f"{name}_high")]
    writer.writerow(
        ["rank", "rank_low", "rank_high", "tie_group", "truth", "name", "date", "tier", "budget", *header, *costs]
        + ["seeds"] * several
    )
    for row in view.rows:
        figures: list[object] = []
        for name in metrics:
            estimate = row.results.metrics.get(name)
            figures += [_cell(x) for x in (estimate.value, estimate.low, estimate.high)] if estimate else [""] * 3
        metadata, info = row.entry.metadata, row.results.info
        joint = row.rank.joint
        ranks = [row.rank.place or "", *((joint.low, joint.high, joint.group or "") if joint else ("", "", ""))]
        head = [
            *ranks,
            row.rank.truth,
            metadata.name,
            metadata.date.isoformat(),
            row.entry.tier_on(view.key),
            " ".join(info.budget),
        ]
        seeds = [row.results.n_seeds] * several
        writer.writerow([*head, *figures, *(getattr(info.cost, name) for name in costs), *seeds])
    return stream.getvalue()


def as_json(view: SuiteView) -> str:
    """The suite and, by rank, each entry's metadata and results."""
    entries = []
    for row in view.rows:
        metadata: dict[str, Any] = {**asdict(row.entry.metadata), "date": row.entry.metadata.date.isoformat()}
        entries.append(
            {
                "rank": row.rank.place,
                "overlaps": row.rank.overlaps,
                "truth": row.rank.truth,
                "unfaithful": row.unfaithful,
                "tier": row.entry.tier_on(view.key),
                "joint": asdict(row.rank.joint) if row.rank.joint else None,
                "metadata": metadata,
                "results": row.results.to_dict(),
            }
        )
    return dump_json({"suite": asdict(view.results.info.suite), "entries": entries})


def _cell(value: float) -> float | str:
    return value if math.isfinite(value) else ""
