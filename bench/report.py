"""A bench's figures: ratios with intervals; printed, and written to bench/out/<name>.json."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from sveb.common.files import dump_json, write_text
from sveb.common.processor import cores
from sveb.common.version import __version__


def report(name: str, figures: dict[str, Any]) -> None:
    """Prints and stores `figures` with the machine they were measured on."""
    machine = {"cores": cores(), "processor": _processor(), "python": platform.python_version()}
    text = dump_json({"bench": name, "sveb": __version__, "machine": machine, "figures": figures})
    print(text)
    write_text(Path("bench/out") / f"{name}.json", text)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, list[float]]:
    """The median of the rounds' ratios and its 95 % interval."""
    ratios = np.divide(ours, theirs)
    interval = bootstrap((ratios,), np.median, method="percentile", rng=0).confidence_interval
    return round(float(np.median(ratios)), 3), [round(float(end), 3) for end in interval]


def _processor() -> str:
    """The processor's name and, on x86, its widest vectors: they decide the speed of a model on a CPU."""
    path = Path("/proc/cpuinfo")
    lines = dict(line.split("\t", 1) for line in path.read_text().splitlines() if "\t" in line) if path.exists() else {}
    name = lines.get("model name", platform.machine()).lstrip("\t: ")
    vectors = next((each for each in ("avx512f", "avx2") if each in lines.get("flags", "").split()), "")
    return f"{name} {vectors}".strip()
