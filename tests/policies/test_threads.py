"""A small model computes with one thread, even if a command has imported torch long before it loads a model."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.needs import require_package

pytestmark = pytest.mark.engine

CODE = """
import sys, torch
if sys.argv[1] == "critic":
    from sveb.estimators.shared.value_model import ValueModel, backbone_of
    from sveb.policies.models import fetch_weights
    ValueModel(backbone_of(str(fetch_weights("package:nano").folder), pretrained=True), loss="mse")
else:
    from sveb.policies.engines import load_policy
    load_policy("nano", sys.argv[1], max_model_len=256, workers=1)
print("threads", torch.get_num_threads(), flush=True)
"""


@pytest.mark.parametrize("engine", ["vllm", "transformers", "critic"])
@pytest.mark.parametrize(("variable", "expected"), [(None, 1), ("2", 2)])
def test_the_running_process_has_the_threads_that_suit_its_model(
    engine: str, variable: str | None, expected: int
) -> None:
    if engine == "vllm":
        require_package("vllm")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if variable is not None:
        environment["OMP_NUM_THREADS"] = variable
    done = subprocess.run(
        [sys.executable, "-c", CODE, engine], capture_output=True, text=True, env=environment, check=False
    )
    assert f"threads {expected}" in done.stdout, done.stderr
