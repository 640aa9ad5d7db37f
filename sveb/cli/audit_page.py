"""The page of `sveb tasks audit`: one file, to be read by a person."""

from __future__ import annotations

from html import escape
from pathlib import Path

from sveb.common.files import write_text
from sveb.tasks.audit import Audit, Rate, Suspect

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;"
    "border-bottom:1px solid #d0d7de}code{white-space:pre-wrap;overflow-wrap:anywhere}"
)


def write_audit(path: Path, title: str, found: Audit) -> None:
    """Writes the page. Raises SvebError where the disk refuses it."""
    write_text(
        path,
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        "<body>"
        f"<h1>{escape(title)}</h1>"
        f"<p>{found.sampled} graded responses were looked at. The rates count suspects: read the rows below to see "
        "which of them are faults of the grader. The intervals are Clopper-Pearson, 95 %.</p>"
        f"<p>Right answers refused (suspected false negatives): {rate_text(found.false_negatives)} of the 0s.</p>"
        f"<p>Wrong answers paid (suspected false positives): {rate_text(found.false_positives)} of the 1s.</p>"
        f"{_table('Refused, and perhaps right', found.refused)}{_table('Paid, and perhaps wrong', found.paid)}"
        "</body></html>\n",
    )


def rate_text(rate: Rate) -> str:
    """`3 of 200 = 1.5 % [0.3 %, 4.3 %]`."""
    low, high = rate.interval
    share = f" = {rate.count / rate.total:.1%}" if rate.total else ""
    return f"{rate.count} of {rate.total}{share} [{low:.1%}, {high:.1%}]"


def _table(title: str, rows: list[Suspect]) -> str:
    if not rows:
        return f"<h2>{escape(title)}</h2><p>None.</p>"
    body = "".join(
        f"<tr><td>{escape(row.response_id)}</td><td><code>{escape(row.reference)}</code></td>"
        f"<td><code>{escape(row.answer)}</code></td><td>{row.return_:g}</td><td>{escape(row.why)}</td></tr>"
        for row in rows
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("response", "reference", "answer", "return", "why"))
    return f"<h2>{escape(title)}</h2><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
