"""One suite of the embedded policy behind vLLM, for the other engines to repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.common.files import sha256
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import Counts
from sveb.generate.reporter import SilentReporter
from sveb.policies.policy import Policy
from sveb.suite.manifest import Manifest
from sveb.suite.suite import Suite

REPEATED = Counts(
    test_problems=4, train_problems=2, group=6, train_group=4, probes=2, path_states=3, sibling_parents=1, siblings=3,
    continuations=8, draws=4, audit=2,
)  # fmt: skip


def assert_same_tables(by_other: Path, by_vllm: Path) -> None:
    """Every table is the same, to the byte; but an engine whose model is elsewhere gives no weights of steps."""
    for name in Manifest.read(by_vllm).files:
        if name != "states.parquet":
            assert sha256(by_other / name) == sha256(by_vllm / name)
    other, own = Suite.open(by_other).table("states"), Suite.open(by_vllm).table("states")
    assert other.drop(["next_weight"]).equals(own.drop(["next_weight"]))
    assert own["next_weight"].null_count < other["next_weight"].null_count == other.num_rows


@pytest.fixture(scope="session")
def vllm_suite(nano_vllm: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the pipeline on the engine that is already there: two live ones in a process break each other."""
    out = tmp_path_factory.mktemp("suites") / "by-vllm"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sveb.generate.pipeline.load_policy", lambda *_args, **_options: nano_vllm)
        patch.setattr(nano_vllm, "close", lambda: None)
        return generate(Settings("nano", out, REPEATED, engine="vllm"), SilentReporter())
