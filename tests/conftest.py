"""What tests of several rooms share: the embedded policy behind both engines, and a small real suite."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.needs import require_package
from tests.support.schedule import ByFile, long_first

pytest_plugins = ["tests.support.fixtures"]

# One thread: tests measure behaviour, and two threads a core only slow each other down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# One engine, in the test's process; the tests of several processes ask for them.
os.environ.setdefault("SVEB_WORKERS", "1")
# Committed at once by every engine, of which the workers, the server and the killed runs have up to five at a time.
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

# No test takes the power away; a disk takes some milliseconds for each of the thousands of files.
os.fsync = lambda _descriptor: None  # type: ignore[assignment]
# No test depends on the speed of the machine.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

TINY = {
    "test_problems": 6, "train_problems": 4, "group": 6, "train_group": 4, "probes": 2, "path_states": 4,
    "sibling_parents": 2, "siblings": 4, "continuations": 8, "draws": 4, "audit": 3,
}  # fmt: skip


_ENGINES = {"nano_transformers", "nano_vllm", "nano_server", "tiny_suite"}
_SLOW_ROOMS = {"e2e", "exploits"}
# Files that train, or start many processes: with more than two seconds of CPU each, a third of what `quick` would take.
_SLOW_FILES = {
    "test_committed_site.py", "test_conformance.py", "test_critic.py", "test_documented_commands.py",
    "test_metering.py", "test_private.py", "test_public_api.py", "test_regrade_suite.py", "test_reproduce.py",
    "test_selfcheck.py", "test_verify.py",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make quick` leaves out: by the fixtures that a test asks for, directly or not, and by its room."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & _ENGINES:
            item.add_marker("engine")
        if "browser" in fixtures:
            item.add_marker("browser")
        if item.path.parent.name in _SLOW_ROOMS or item.path.name in _SLOW_FILES:
            item.add_marker("slow")
    if "PYTEST_XDIST_WORKER" in os.environ:
        long_first(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """The scheduler of `-n 2`."""
    config.option.loadscopereorder = False  # `long_first` has chosen the order
    return ByFile(config, log)


def of_all_workers(factory: pytest.TempPathFactory) -> Path:
    """The folder that the workers of one run share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the policy has read is kept for the tests of one run, and never where the user keeps theirs."""
    cache = of_all_workers(tmp_path_factory) / "cache"
    cache.mkdir(exist_ok=True)
    os.environ["SVEB_CACHE"] = str(cache)


@pytest.fixture(scope="session")
def nano_transformers() -> Iterator[object]:
    """The embedded policy behind transformers."""
    from sveb.policies.engines import load_policy

    policy = load_policy("nano", "transformers")
    yield policy
    policy.close()


@pytest.fixture(scope="session")
def nano_vllm() -> Iterator[object]:
    """The embedded policy behind vLLM."""
    require_package("vllm")
    from sveb.policies.engines import load_policy

    policy = load_policy("nano", "vllm")
    yield policy
    policy.close()


# The shell ends with the server; when its standard input closes, however we ended, its whole process group is killed.
_KEEPER = 'exec 3<&0; "$@" </dev/null & server=$!; (cat <&3 >/dev/null; kill -9 0) & wait $server'


@pytest.fixture(scope="session")
def nano_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL (http://.../v1) of a real vLLM server of the embedded policy, whose model is called `nano`.

    Its generation_config.json says top_k 1, temperature .01, top_p .1, repetition_penalty 1.5, and the server was not
    told to leave it alone: whoever omits a field gets these. A chat template joins the messages' lines.
    """
    require_package("vllm")
    from sveb.policies.models import fetch_weights

    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(fetch_weights("package:nano").folder, folder / "weights")
    config = folder / "weights" / "generation_config.json"
    hostile = {"top_k": 1, "temperature": 0.01, "top_p": 0.1, "repetition_penalty": 1.5}
    config.write_text(json.dumps(json.loads(config.read_text()) | hostile))
    (folder / "chat.jinja").write_text("{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder / "weights"),
        "--served-model-name", "nano", "--chat-template", str(folder / "chat.jinja"), "--host", "127.0.0.1",
        "--port", str(port), "--dtype", "float32", "--max-model-len", "512", "--max-num-batched-tokens", "4096",
        "--block-size", "32", "--enforce-eager", "--no-enable-chunked-prefill", "--disable-log-stats",
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    environment = os.environ | {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR",
    }  # fmt: skip
    log = folder / "server.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            ["sh", "-c", _KEEPER, "sh", *command], stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server ended before it answered at {url}:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def tiny_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small suite of the embedded policy, generated by the real pipeline with the transformers engine.

    One worker makes it, and the others wait: tests read it, and never write to it.
    """
    from sveb.generate.generation import Settings
    from sveb.generate.pipeline import generate
    from sveb.generate.plan import counts_for
    from sveb.generate.reporter import SilentReporter

    shared = of_all_workers(tmp_path_factory)
    out, counts = shared / "suites" / "tiny", counts_for("demo", {**TINY})
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "manifest.json").exists():
            generate(Settings(model="nano", out=out, counts=counts, engine="transformers"), SilentReporter())
    return out
