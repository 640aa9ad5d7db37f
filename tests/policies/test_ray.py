"""The Ray engine: a suite by two actors, one killed on the way, equal to one vLLM's; and nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.policies.engines import choose_engine, load_policy
from sveb.suite.manifest import Manifest
from tests.policies.conftest import REPEATED, assert_same_tables
from tests.support.needs import require_package
from tests.support.processes import wait_for_end

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True, scope="module")
def _engines() -> None:
    require_package("ray", "vllm")


def processes_of(run: str) -> dict[int, str]:
    """pid -> command of the living processes whose environment holds this run's mark, whoever their parent is now."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"SVEB_TEST_RUN={run}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # gone, or another user's
            continue
    return found


def wait_until_nothing_is_left(run: str, but: tuple[str, ...] = ()) -> None:
    """Until none of the run's processes lives, other than commands that begin with `but`."""
    while left := [pid for pid, command in processes_of(run).items() if not command.startswith(but)]:
        wait_for_end(left[0])


def start(out: Path) -> subprocess.Popen[str]:
    counts = [text for name, n in asdict(REPEATED).items() for text in (f"--{name.replace('_', '-')}", str(n))]
    return subprocess.Popen(
        [Path(sys.executable).with_name("sveb"), "generate", "--model", "nano", "--engine", "ray", "--ray-actors", "2",
         "--out", out, *counts],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"SVEB_TEST_RUN": str(out)},
    )  # fmt: skip


def test_the_same_suite_as_vllms_though_an_actor_was_killed(vllm_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "by-vllm"
    run, killed = start(out), None
    try:
        while run.poll() is None and killed is None:
            actors = [pid for pid, args in processes_of(str(out)).items() if args.startswith("ray::MapWorker")]
            # The first stage is on the disk: both actors are at work on the next ones.
            if len(actors) == 2 and list(out.glob("work/*/*.parquet")):
                killed = actors[0]
                os.kill(killed, signal.SIGKILL)
            time.sleep(0.05)
        said, _ = run.communicate()
    finally:
        run.kill()
    assert run.returncode == 0, said
    assert killed is not None
    by_ray, by_vllm = Manifest.read(out), Manifest.read(vllm_suite)
    assert_same_tables(out, vllm_suite)
    assert by_ray.policy == by_vllm.policy | {"engine": "ray"}
    wait_until_nothing_is_left(str(out))


def test_nothing_outlives_a_killed_run_and_an_interrupted_one_says_how_to_continue(tmp_path: Path) -> None:
    """kill -9 of the command takes Ray and its actors with it; Ctrl-C keeps what is finished."""
    for number, sent in enumerate((signal.SIGKILL, signal.SIGINT)):
        out = tmp_path / str(number)
        run = start(out)
        try:
            while run.poll() is None and not any(
                args.startswith("ray::MapWorker") for args in processes_of(str(out)).values()
            ):
                time.sleep(0.05)
            assert run.poll() is None
            run.send_signal(sent)
            said, _ = run.communicate()
        finally:
            run.kill()
        # Two agents of Ray try for a minute to tell its head that they are going, and the head is dead.
        agents = ("ray::DashboardAgent", "ray::RuntimeEnvAgent") if sent == signal.SIGKILL else ()
        wait_until_nothing_is_left(str(out), agents)
        if sent == signal.SIGINT:
            assert run.returncode == 130, said
            assert "to continue" in said
            assert "Traceback" not in said


def test_a_cluster_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(SvebError, match=r"no Ray cluster answers at RAY_ADDRESS=127.0.0.1:9"):
        load_policy("nano", "ray")


def test_options_of_another_engine_are_refused() -> None:
    assert choose_engine("ray", ray_actors=2) == "ray"
    with pytest.raises(SvebError, match="--ray-actors belongs to --engine ray, and the engine is transformers"):
        choose_engine("transformers", ray_actors=2)
    with pytest.raises(SvebError, match="--server-url belongs to --engine server"):
        choose_engine("ray", server_url="http://127.0.0.1:8000")
    with pytest.raises(SvebError, match="--engine server needs --server-url"):
        choose_engine("server")
