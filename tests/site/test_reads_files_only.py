"""The site draws what others have computed: its modules load no code that computes a score."""

from __future__ import annotations

import subprocess
import sys

# What the metric catalogue, which names and defines the metrics, needs.
MAY_LOAD = {"metric_catalogue", "metrics", "calibration", "rank_correlation", "arrays"}
LOAD_ALL = """
import importlib, pkgutil, sys
import sveb.site
for module in pkgutil.iter_modules(sveb.site.__path__):
    importlib.import_module(f"sveb.site.{module.name}")
print(*sys.modules)
"""


def test_no_module_of_the_site_loads_the_scorer_or_scipy() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOAD_ALL], capture_output=True, text=True, check=True).stdout.split()
    assert "sveb.site.build" in loaded
    assert {name.split(".")[2] for name in loaded if name.startswith("sveb.score.")} <= MAY_LOAD
    assert not [name for name in loaded if name.partition(".")[0] == "scipy"]
