"""Kept readings: equal values, equal charges, and no fault of theirs is ever the estimator's."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sveb.harness import readings_cache as cache
from sveb.harness.forward_passes import Forward
from sveb.harness.readings_cache import Readings
from sveb.policies import engines
from sveb.suite.suite import Suite

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


def readings(root: Path, suite: str = "suite-1", limit: int = 2**30, **identity: object) -> Readings:
    return Readings(root, suite, identity, limit)


@pytest.mark.parametrize("array", [ARRAY, ARRAY[0], np.empty(0, np.float32), np.empty((0, 2), np.float32)])
def test_what_was_kept_comes_back_with_its_seconds(tmp_path: Path, array: np.ndarray) -> None:
    readings(tmp_path).put("hidden-1", [1, 2, 3], array, 0.25)
    found = readings(tmp_path).get("hidden-1", [1, 2, 3])
    assert found is not None
    np.testing.assert_array_equal(found[0], array)
    assert (found[0].shape, found[0].dtype, found[1]) == (array.shape, np.float32, 0.25)


def test_other_tokens_layers_weights_and_suites_are_other_readings(tmp_path: Path) -> None:
    readings(tmp_path, weights="a").put("hidden-1", [1, 2, 3], ARRAY, 1.0)
    assert readings(tmp_path, weights="a").get("hidden-1", [1, 2, 3]) is not None
    assert readings(tmp_path, weights="a").get("hidden-1", [1, 2]) is None
    assert readings(tmp_path, weights="a").get("hidden-2", [1, 2, 3]) is None
    assert readings(tmp_path, weights="b").get("hidden-1", [1, 2, 3]) is None
    assert readings(tmp_path, "suite-2", weights="a").get("hidden-1", [1, 2, 3]) is None


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    """With a shared cache folder: a checksum says that a reading is whole, not whose it is."""
    readings(tmp_path).put("hidden-1", [1], ARRAY, 1.0)
    (folder,) = (tmp_path / "readings").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert readings(tmp_path).get("hidden-1", [1]) is None
    readings(tmp_path).put("hidden-1", [2], ARRAY, 1.0)
    folder.chmod(0o755)
    assert readings(tmp_path).get("hidden-1", [1]) is not None
    assert readings(tmp_path).get("hidden-1", [2]) is None
    moved = folder.rename(tmp_path / "theirs")
    folder.symlink_to(moved)
    assert readings(tmp_path).get("hidden-1", [1]) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "longer"])
def test_a_damaged_reading_is_none(tmp_path: Path, damage: str) -> None:
    kept = readings(tmp_path)
    kept.put("hidden-1", [1], ARRAY, 1.0)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "used"]
    raw = bytearray(path.read_bytes())
    if damage == "flipped":
        raw[-1] ^= 1
    path.write_bytes({"cut": raw[:-4], "flipped": raw, "emptied": b"", "longer": raw + b"\0"}[damage])
    assert kept.get("hidden-1", [1]) is None
    kept.put("hidden-1", [1], ARRAY, 1.0)
    assert kept.get("hidden-1", [1]) is not None


def test_a_cache_that_cannot_be_written_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "readings").write_text("a file where the folder should be")
    kept = readings(tmp_path)
    kept.put("hidden-1", [1], ARRAY, 1.0)
    assert kept.get("hidden-1", [1]) is None


def test_a_full_disk_ends_the_writing_and_leaves_no_half_file(tmp_path: Path) -> None:
    """The kernel's own limit on a file's size stands in for the disk's end: the write fails part way."""
    program = (
        "import resource, signal, sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from sveb.harness.readings_cache import Readings\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "kept = Readings(Path(sys.argv[1]), 'suite', {}, 2**30)\n"
        "kept.put('hidden-1', [1], np.zeros((100, 100), np.float32), 1.0)\n"
        "assert kept.get('hidden-1', [1]) is None\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_was_not_used_for_longest_makes_way_and_what_this_run_uses_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MEASURED_EVERY", 40_000)
    array = np.zeros((4, 1000), np.float32)  # 16 kB
    for age, suite in ((300, "oldest"), (200, "older"), (100, "old")):
        readings(tmp_path, suite).put("hidden-1", [1], array, 1.0)
        (folder,) = (tmp_path / "readings" / suite).iterdir()
        os.utime(folder / "used", (time.time() - age,) * 2)
    mine = readings(tmp_path, "mine", limit=100_000)
    for number in range(10):
        mine.put("hidden-1", [number], array, 1.0)
    left = {path.parent.name for path in tmp_path.glob("readings/*/*")}
    assert left == {"mine"}
    kept = [number for number in range(10) if mine.get("hidden-1", [number]) is not None]
    assert kept == list(range(len(kept)))
    assert 2 <= len(kept) < 7  # files take whole blocks, so somewhat fewer than fit by their bytes


def test_runs_at_once_and_killed_ones_leave_whole_readings_alone(tmp_path: Path) -> None:
    program = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\nfrom sveb.harness.readings_cache import Readings\n"
        "kept = Readings(Path(sys.argv[1]), 'suite', {}, 2**30)\nprint('ready', flush=True)\n"
        "while True:\n"
        "    for n in range(20):\n        kept.put('hidden-1', [n], np.full((50, 100), n, np.float32), 1.0)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    mine, seen = readings(tmp_path, "suite"), 0
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        for turn, process in enumerate(running, start=1):
            while seen < 100 * turn:
                for number in range(20):
                    if (found := mine.get("hidden-1", [number])) is not None:
                        assert (found[0] == number).all()
                        seen += 1
            process.send_signal(signal.SIGKILL)
    finally:
        for process in running:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def suite_of_known_weights(suite: Suite) -> Suite:
    """The small suite, whose manifest names the weights that it means."""
    from sveb.policies.models import fetch_weights

    policy = suite.manifest.policy | {"sha256": fetch_weights("package:nano-early").sha256}
    replace(suite.manifest, policy=policy).write(suite.path)
    return Suite.open(suite.path)


def test_a_warm_cache_gives_the_same_states_without_the_policy(
    suite_of_known_weights: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    long = np.array([1, 5, 7, 20, 21, 22, 23, 24], dtype=np.int32)
    asked = ([long, long[:5]], [np.array([8]), np.array([4, 5])], -1)
    cold, warm = Forward(suite_of_known_weights.manifest), Forward(suite_of_known_weights.manifest)
    first = cold.hidden_at(*asked)
    monkeypatch.setattr(engines, "load_policy", None)  # were it loaded again, this would fail
    for one, other in zip(first, warm.hidden_at(*asked), strict=True):
        np.testing.assert_array_equal(one, other)
    assert warm.tokens_read == cold.tokens_read == 8


class Slow:
    """A policy that takes 20 ms a token, by the clock that it turns."""

    def __init__(self, sha256: str, clock: list[float]) -> None:
        self.fingerprint = {"sha256": sha256}
        self.clock = clock

    def logprobs(self, sequences: list[list[int]]) -> list[np.ndarray]:
        self.clock[0] += 0.02 * sum(map(len, sequences))
        return [np.zeros(len(sequence) - 1, np.float32) for sequence in sequences]


def test_what_is_charged_does_not_tell_whether_the_cache_was_warm(
    suite_of_known_weights: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A clock of our own: what else runs on the machine must not be told from what is charged."""
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    sha256 = suite_of_known_weights.manifest.policy["sha256"]
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def load(*_: object, **__: object) -> Slow:
        clock[0] += 0.3  # loading is never charged
        return Slow(sha256, clock)

    monkeypatch.setattr(engines, "load_policy", load)
    sequences = [np.array([1, 5, 7, number], dtype=np.int32) for number in range(5)]
    spent = []
    for asked in (sequences[:2], sequences, sequences):  # cold, partly warm, warm
        forward, began = Forward(suite_of_known_weights.manifest), clock[0]
        forward.logprobs(asked, [1] * len(asked))
        spent.append(clock[0] - began)
        assert spent[-1] - forward.uncharged_s == pytest.approx(0.08 * len(asked))
    assert spent == pytest.approx([0.3 + 0.16, 0.3 + 0.24, 0.0])


def test_a_suite_that_does_not_name_its_weights_keeps_nothing(suite: Suite, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    Forward(suite.manifest).logprobs([np.array([1, 5, 7], dtype=np.int32)], [1])
    assert not (tmp_path / "cache").exists()
