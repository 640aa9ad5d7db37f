"""Checkpoints that verl, OpenRLHF and TRL wrote themselves: the values are those of the trainers' own forward pass.

scripts/write_trainer_checkpoints.py made tests/data/critics, with the values.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from sveb.estimators.shared.critic_reader import read_checkpoint, value_model
from sveb.estimators.shared.value_model import predict

WRITTEN = Path(__file__).resolve().parents[1] / "data" / "critics"


@pytest.mark.parametrize(
    ("name", "inside", "layout"),
    [
        ("verl-sharded", "global_step_1", "verl"),
        ("verl-sharded", "global_step_1/critic", "verl"),
        ("verl-merged", "", "verl"),
        ("openrlhf", "", "openrlhf"),
        ("openrlhf-normalised", "", "openrlhf"),
        ("trl", "", "trl"),
        ("trl-wrapper", "", "trl-wrapper"),
    ],
)
def test_a_trainers_own_checkpoint_has_the_values_of_its_own_code(name: str, inside: str, layout: str) -> None:
    told = json.loads((WRITTEN / name / "values.json").read_text())
    checkpoint = read_checkpoint(WRITTEN / name / inside)
    assert checkpoint.critic.layout.name == layout
    found = predict(value_model(checkpoint, 1024, "value"), [np.array(told["token_ids"], np.int32)])[0]
    np.testing.assert_allclose(found, told["values"], atol=1e-5)
    assert np.ptp(found) > 0.1
