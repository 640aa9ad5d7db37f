"""Keeps a bench's figures: printed, and written to bench/out/<name>.json."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from sveb.common.files import dump_json, write_text
from sveb.common.version import __version__


def report(name: str, figures: dict[str, Any]) -> None:
    """Prints and stores `figures` with the machine they were measured on."""
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    text = dump_json({"bench": name, "sveb": __version__, "machine": machine, "figures": figures})
    print(text)
    write_text(Path("bench/out") / f"{name}.json", text)
