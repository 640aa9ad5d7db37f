"""Faults as a table. What is shown is a stranger's text: it is made harmless for a terminal and for a CI's log."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from sveb.cli.console import table
from sveb.common.faults import Fault


def faults_table(faults: Iterable[Fault]) -> Table:
    """One row a fault."""
    made = table("", "severity", "file", "place", "problem", "mend")
    for fault in faults:
        style = "red" if fault.severity == "error" else "yellow"
        texts = (plain(text) for text in (fault.file, fault.place, fault.wrong, fault.mend))
        made.add_row(Text(fault.severity, style=style), *(Text(text) for text in texts))
    return made


def plain(text: str) -> str:
    """Text without control characters, and without the `::` by which a line gives orders to a CI."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return shown.replace("::", ": :")
