"""What an estimator's process holds, looked through by one that wants the truth (thief.py).

Not claimed here: that it could not open files whose path it guesses. Confining it is the sandbox's part.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sveb.harness.run_estimator import run
from sveb.suite.suite import Suite
from sveb.suite.tables import read_table, write_table
from tests.support.suites import DRAWS, SECRET_FUTURE, SECRET_RETURN, SECRET_TRUTH


@pytest.fixture
def loot(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the thief found, in a harness that has the truth in its memory, environment and open files."""
    monkeypatch.setenv("SVEB_SUITE", str(suite.path))
    monkeypatch.setenv("SVEB_TRUTH", SECRET_FUTURE)
    truth = read_table(suite.path / "truth.parquet").to_pandas()
    assert truth["value_mean"].tolist() == [SECRET_TRUTH] * 15
    (tmp_path / "code").mkdir()
    thief = shutil.copy(Path(__file__).parent / "thief.py", tmp_path / "code")
    with (suite.path / "truth.parquet").open("rb") as stream:
        os.set_inheritable(stream.fileno(), True)  # as a careless library might leave it
        run(suite, str(thief), {}, tmp_path / "out")
    found = tmp_path / "code" / "loot"
    return {
        "memory": (found / "memory").read_bytes(),
        **json.loads((found / "objects.json").read_text()),
        **json.loads((found / "surroundings.json").read_text()),
    }


def needles(suite: Suite) -> dict[str, bytes]:
    """What must not be there, as bytes: texts, and numbers in every width in which the suite holds them."""
    return {
        "suite's path": str(suite.path).encode(),
        "a file of truth": b"truth.parquet",
        "a probe's future": SECRET_FUTURE.encode(),
        "a true value": np.float64(SECRET_TRUTH).tobytes(),
        "true returns": np.full(2, SECRET_TRUTH, np.float32).tobytes(),
        "a true return, widened": np.float64(np.float32(SECRET_TRUTH)).tobytes(),
        "a probe's return": np.float64(np.float32(SECRET_RETURN)).tobytes(),
        "probes' returns": np.full(2, SECRET_RETURN, np.float32).tobytes(),
        "tokens past the states": probe_future(suite),
        "a suite's name for a state": b"test-000/probe0/s1",
    }


def probe_future(suite: Suite) -> bytes:
    """The tokens of a probe rollout after its last state (which ends at token 8 of 12)."""
    probe = suite.rollouts("probe").iloc[0]
    return np.asarray(probe["token_ids"][8:], dtype=np.int32).tobytes()


def test_what_may_be_seen_is_found_so_the_search_would_find_the_rest(loot: dict[str, Any], suite: Suite) -> None:
    """The control: texts and numbers that were sent lie in memory and are reachable as objects."""
    visible = float(np.float32(DRAWS[3]))
    for text in ("context 4", "train 3", "answer 2", "Question 1?"):
        assert text in loot["texts"]
        assert text.encode() in loot["memory"]
    assert visible in loot["numbers"]
    assert np.float64(visible).tobytes() in loot["memory"]
    context = np.asarray(suite.rollouts("context").iloc[0]["token_ids"], dtype=np.int32).tobytes()
    assert context in loot["memory"]


def test_memory_holds_no_truth_no_probe_future_and_no_path(loot: dict[str, Any], suite: Suite) -> None:
    assert {name for name, needle in needles(suite).items() if needle in loot["memory"]} == set()


def test_no_object_holds_them(loot: dict[str, Any], suite: Suite) -> None:
    texts = "\n".join(loot["texts"])
    assert str(suite.path) not in texts
    assert SECRET_FUTURE not in texts
    secrets = np.array([SECRET_TRUTH, SECRET_RETURN])
    assert np.abs(np.array(loot["numbers"])[:, None] - secrets).min() > 1e-6


def test_arguments_environment_and_files_name_no_suite(loot: dict[str, Any], suite: Suite) -> None:
    kept = json.dumps([loot["arguments"], loot["environment"], loot["process"], loot["files"]])
    assert str(suite.path) not in kept
    assert SECRET_FUTURE not in kept
    assert "SVEB_SUITE" not in loot["environment"]
    assert loot["files"] == {}


def test_one_socket_is_all_that_was_inherited(loot: dict[str, Any]) -> None:
    """Standard input is empty, 1 and 2 are the user's terminal, and no file of the harness stayed open."""
    targets = {name: target for name, target in loot["descriptors"].items() if int(name) > 2}
    assert [target.split(":")[0] for target in targets.values()] == ["socket"]
    assert loot["descriptors"]["0"] == "/dev/null"


def test_no_built_in_needs_the_truth_to_exist(suite: Suite, tmp_path: Path) -> None:
    """The harness itself never opens it: estimating works on a suite that was published without."""
    (suite.path / "truth.parquet").unlink()
    for name in ("constant", "group_mean", "numca", "mc"):
        run(suite, name, {"k": 4} if name == "mc" else {}, tmp_path / name)


def test_predictions_do_not_depend_on_what_probes_did_after_their_states(suite: Suite, tmp_path: Path) -> None:
    before = {name: run(suite, name, {}, tmp_path / name).read_bytes() for name in ("constant", "group_mean", "numca")}
    rollouts = suite.table("rollouts").to_pylist()
    for rollout in rollouts:
        if rollout["role"] == "probe":
            rollout |= {"return_": 1.0, "text": "another end", "token_ids": rollout["token_ids"][:8] + [9] * 30}
    write_table(
        suite.path / "rollouts.parquet", suite.table("rollouts").from_pylist(rollouts, suite.table("rollouts").schema)
    )
    from sveb.runs.predictions import Predictions

    for name in before:
        old = Predictions.read(tmp_path / name / "predictions.parquet")
        new = Predictions.read(run(Suite.open(suite.path), name, {}, tmp_path / "after" / name))
        np.testing.assert_array_equal(old.values, new.values)
