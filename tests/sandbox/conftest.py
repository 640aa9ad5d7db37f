"""Confined commands, small and fast."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from sveb.sandbox.bwrap import Bind, Confinement
from sveb.sandbox.confined_python import Python, copy_code
from sveb.sandbox.limits import Limits
from sveb.sandbox.sandbox import Sandbox
from tests.support.needs import require_bubblewrap

SMALL = Limits(wall_s=20, cpu_s=10, memory_bytes=256 * 2**20, processes=16, scratch_bytes=2**20, output_bytes=4096)

Confine = Callable[..., Confinement]
Said = Callable[..., str]


@pytest.fixture
def bubblewrap() -> None:
    require_bubblewrap()


@pytest.fixture
def confine(tmp_path: Path, bubblewrap: None) -> Confine:  # noqa: ARG001 - skips
    """A confinement of a Python program, given as text."""

    def make(program: str, binds: tuple[Bind, ...] = (), **more: object) -> Confinement:
        python = Python()
        code = copy_code((), tmp_path / f"code{len(list(tmp_path.iterdir()))}")
        return Confinement(
            python.probes, python.command("-c", program), (*python.binds, code, *binds),
            environment=tuple(python.environment.items()), **{"limits": SMALL, **more},
        )  # fmt: skip

    return make


@pytest.fixture
def said(confine: Confine) -> Said:
    """Runs a program confined and gives what it printed, once it has ended."""

    def run(program: str, *arguments: object, **more: object) -> str:
        stream = io.StringIO()
        with Sandbox(confine(program, *arguments, **more), stream) as sandbox:
            sandbox.wait(60)
            sandbox.end()
        return stream.getvalue().replace("| ", "")

    return run
