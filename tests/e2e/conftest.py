"""`sveb` as a user starts it, without the seconds that its imports take each time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bench.warm_cli import TRANSFORMERS, VLLM, WarmCli

Sveb = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmCli]:
    """Starts `sveb` in processes of its own, with vLLM where it is installed."""
    with WarmCli(VLLM if find_spec("vllm") else TRANSFORMERS) as started:
        yield started


@pytest.fixture
def sveb(warm: WarmCli, tmp_path_factory: pytest.TempPathFactory) -> Sveb:
    """Runs `sveb ARGUMENTS` in a folder to its end."""
    said = tmp_path_factory.mktemp("said")
    numbers = itertools.count()

    def run(*arguments: object, folder: Path) -> CompletedProcess[str]:
        out, errors = (said / f"{name}-{next(numbers)}" for name in ("out", "errors"))
        code = warm.start(arguments, out, folder=folder, errors=errors).wait()
        return CompletedProcess(arguments, code, out.read_text(), errors.read_text())

    return run
