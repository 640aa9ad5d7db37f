"""Faults as a table. Their texts may come from a stranger: they are made safe for a terminal and for a CI log."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from sveb.cli.console import table
from sveb.common.faults import Fault


def faults_table(faults: Iterable[Fault]) -> Table:
    """One row per fault."""
    made = table("", "severity", "file", "place", "problem", "what to do")
    for fault in faults:
        style = "red" if fault.severity == "error" else "yellow"
        texts = (plain(text) for text in (fault.file, fault.place, fault.wrong, fault.fix))
        made.add_row(Text(fault.severity, style=style), *(Text(text) for text in texts))
    return made


def plain(text: str) -> str:
    """Text without control characters, and without the `::` that CI systems read as a command."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return shown.replace("::", ": :")
