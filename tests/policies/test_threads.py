"""A small model computes with one thread, even if a command imported torch before. Waiting threads of OpenMP sleep."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.needs import require_package

pytestmark = pytest.mark.engine

CODE = """
import sys, torch
from sveb.estimators.shared.value_model import ValueModel, backbone_of
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights
usual = torch.get_num_threads()
for kind in sys.argv[1:]:
    torch.set_num_threads(usual)  # as if this model were the first
    if kind == "critic":
        ValueModel(backbone_of(str(fetch_weights("package:nano").folder), pretrained=True), loss="mse")
    else:
        load_policy("nano", kind, max_model_len=256, workers=1)
    print(kind, torch.get_num_threads(), flush=True)
"""


@pytest.mark.parametrize(("variable", "expected"), [(None, 1), ("2", 2)])
def test_the_running_process_has_the_threads_that_suit_its_model(variable: str | None, expected: int) -> None:
    """vLLM comes last: it stays alive, and what follows would be loaded beside it."""
    require_package("vllm")
    kinds = ("critic", "transformers", "vllm")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if variable is not None:
        environment["OMP_NUM_THREADS"] = variable
    done = subprocess.run(
        [sys.executable, "-c", CODE, *kinds], capture_output=True, text=True, env=environment, check=False
    )
    for kind in kinds:
        assert f"{kind} {expected}\n" in done.stdout, (kind, done.stderr)


@pytest.mark.parametrize(("variable", "expected"), [(None, "PASSIVE"), ("active", "ACTIVE")])
def test_openmp_is_told_to_sleep_before_it_starts(variable: str | None, expected: str) -> None:
    """OpenMP itself says what it has read."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "true"} | ({} if variable is None else {"OMP_WAIT_POLICY": variable})
    done = subprocess.run(
        [sys.executable, "-c", "import sveb.policies.transformers_engine"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert f"OMP_WAIT_POLICY = '{expected}'" in done.stderr
