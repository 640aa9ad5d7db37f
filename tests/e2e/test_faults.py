"""What a long run meets: a full disk, a folder that takes no files, an engine that fails, Ctrl-C once and twice.

Every time: a clear message, the command that continues, nothing corrupted, and in the end the suite of an undisturbed
run.
"""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.kill import OFTEN, compare, units_of
from bench.warm_cli import TRANSFORMERS, Run, WarmCli
from sveb.suite.suite import Suite
from tests.support.needs import require_bubblewrap

SIZE = {
    "test-problems": 2, "train-problems": 1, "group": 4, "train-group": 2, "probes": 2, "path-states": 2,
    "sibling-parents": 1, "siblings": 3, "continuations": 24, "draws": 4,
}  # fmt: skip
SLOW_END = """
import time
from sveb.policies.transformers_engine import TransformersPolicy
TransformersPolicy.close = lambda self: time.sleep(10**6)  # who waits for it never ends
"""
DEAF_LOADING = """
import time
from sveb.policies.transformers_engine import TransformersPolicy
def deaf(self, *args, **options):
    while True:
        try:
            time.sleep(300)
        except KeyboardInterrupt:  # as in the callbacks of compiled code
            pass
TransformersPolicy.__init__ = deaf
"""
FAILING_ENGINE = """
from sveb.policies.transformers_engine import TransformersPolicy
sample = TransformersPolicy.sample
def failing(self, requests, sampling):
    for number, completion in enumerate(sample(self, requests, sampling)):
        if number == 100:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        yield completion
TransformersPolicy.sample = failing
"""
KILLED_GRADERS = """
import dataclasses, os, signal
from sveb.generate import pipeline
from sveb.tasks.graders import math_grader
from sveb.tasks.task import Task
load, ask, asked = Task.load, math_grader._Process.ask, []
def load_as_math(name):
    task = load(name)
    return dataclasses.replace(task, answer={**task.answer, "grader": "math"})
def ask_a_dying_process(self, gold, found):
    asked.append(None)
    if len(asked) <= 4:
        os.kill(self._child.pid, signal.SIGKILL)
    return ask(self, gold, found)
Task.load = staticmethod(load_as_math)
# The suite is to be the same to the byte, so it names the task's own grader.
identity = pipeline.grader_identity
pipeline.grader_identity = lambda task: identity(load(task.name))
math_grader.MathGrader.at_once = lambda *_: None
math_grader._Process.ask = ask_a_dying_process
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def warm(folder: Path) -> Iterator[WarmCli]:
    """Starts `sveb` where full/ is a disk of 600 kB and closed/ cannot be written."""
    require_bubblewrap()
    for name in ("full", "closed"):
        (folder / name).mkdir()
    walls = ["bwrap", "--dev-bind", "/", "/", "--size", "600000", "--tmpfs", str(folder / "full")]
    with WarmCli(TRANSFORMERS, [*walls, "--ro-bind", str(folder / "closed"), str(folder / "closed")]) as warm:
        yield warm


def generate(warm: WarmCli, out: Path, log: Path, before: str = "") -> Run:
    log.unlink(missing_ok=True)
    size = [word for name, count in SIZE.items() for word in (f"--{name}", count)]
    return warm.start(
        ["generate", "--model", "nano", "--size", "demo", "--engine", "transformers", *size, "--out", out],
        log, OFTEN + before,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(warm: WarmCli, folder: Path) -> Path:
    """The undisturbed suite."""
    run = generate(warm, folder / "whole" / "my suite", folder / "log")
    assert run.wait() == 0, run.said()
    return folder / "whole" / "my suite"


def continues(run: Run, out: Path) -> None:
    """The last words are the command that was given, ready for a shell."""
    _, told, command = run.said().rpartition(f"finished work is in {out}; to continue:\n")
    assert told, run.said()
    words = shlex.split(command)
    assert words[:2] == ["sveb", "generate"]
    assert words[-1] == str(out)
    assert "Traceback" not in run.said()


def nothing_corrupted(out: Path) -> int:
    """How many finished units there are: each once, in parts that can be read.

    A part that was being written keeps its temporary name, which no reader looks at.
    """
    stages = units_of(out)
    assert all(len(units) == len(set(units)) for units in stages.values())
    return sum(len(units) for units in stages.values())


def test_ctrl_c_while_the_policy_loads_is_never_lost(warm: WarmCli, folder: Path) -> None:
    out = folder / "loading" / "my suite"
    run = generate(warm, out, folder / "log", DEAF_LOADING)
    assert run.wait_until(lambda: "load policy" in run.said())
    run.interrupt(signal.SIGINT)
    assert run.wait() == 130
    assert "stopped at once" in run.said()
    continues(run, out)


def test_stopped_once_stopped_twice_and_failed_then_finished(warm: WarmCli, whole: Path, folder: Path) -> None:
    out, log = folder / "stopped" / "my suite", folder / "log"

    run = generate(warm, out, log)
    assert run.wait_until(lambda: any(out.glob("work/rollouts/[0-9]*")))
    run.interrupt(signal.SIGINT)
    assert run.wait() == 130
    assert "stopping: finished work is being written" in run.said()
    continues(run, out)
    once = nothing_corrupted(out)
    assert once > 0
    refused = warm.start(["eval", "group_mean", "--suite", out], folder / "refused")
    assert refused.wait() == 2
    assert "its generation is not finished" in refused.said()

    run = generate(warm, out, log, SLOW_END)
    assert run.wait_until(lambda: any(out.glob("work/truth/[0-9]*")))
    run.interrupt(signal.SIGINT)
    assert run.wait_until(lambda: "stopping" in run.said())
    run.interrupt(signal.SIGINT)
    assert run.wait() == 130
    assert "stopped at once" in run.said()
    continues(run, out)
    twice = nothing_corrupted(out)
    assert twice > once

    run = generate(warm, out, log, FAILING_ENGINE)
    assert run.wait() == 2
    assert "error: the engine failed in stage" in run.said()
    assert "(RuntimeError: CUDA error: an illegal memory access was encountered)" in run.said()
    continues(run, out)
    assert "in failing" in (out / "work" / "crash.txt").read_text()
    assert nothing_corrupted(out) > twice

    run = generate(warm, out, log)
    assert run.wait() == 0, run.said()
    assert compare(whole, out) == []


def test_graders_that_are_killed_for_their_memory_cost_no_grade(warm: WarmCli, whole: Path, folder: Path) -> None:
    out = folder / "killed graders" / "my suite"
    run = generate(warm, out, folder / "log", KILLED_GRADERS)
    assert run.wait() == 0, run.said()
    assert Suite.open(out).manifest.generation["missing"] == {}
    assert "grade " in run.said(), "no grade had to be tried again"
    assert compare(whole, out) == []


def test_a_disk_that_fills_up_stops_the_run_wherever_it_is(warm: WarmCli, whole: Path, folder: Path) -> None:
    disk = Path(f"/proc/{warm.pid}/root{folder}/full")
    filler, out, log = disk / "filler", folder / "full" / "my suite", folder / "log"
    stopped_with = []
    for room in (3, 30, 60):
        filler.write_bytes(b"")
        filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - room * 1024)))
        run = generate(warm, out, log)
        if (code := run.wait()) == 0:
            break
        assert code == 2
        assert "no space left for" in run.said(), run.said()
        assert "Traceback" not in run.said()
        stopped_with.append(nothing_corrupted(disk / "my suite"))
    assert len(set(stopped_with)) > 1, f"it always stopped at the same place: {stopped_with}"
    filler.unlink()
    run = generate(warm, out, log)
    assert run.wait() == 0, run.said()
    assert compare(whole, disk / "my suite") == []


def test_a_folder_that_takes_no_files_is_said_so_before_anything_is_loaded(warm: WarmCli, folder: Path) -> None:
    run = generate(warm, folder / "closed" / "my suite", folder / "log")
    assert run.wait() == 2
    assert f"error: no permission to write {folder / 'closed' / 'my suite'}: choose another folder" in run.said()
    assert "load policy" not in run.said()
