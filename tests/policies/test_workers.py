"""Several engine processes are the same policy as one, also when some of them are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.kill import engine_processes
from sveb.common.errors import SvebError
from sveb.common.prefix_cover import families
from sveb.common.seeds import seeds
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.policies.worker_engine import WorkerPolicy
from sveb.policies.workers import cache_bytes, choose_workers
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task
from tests.support.processes import wait_for_end

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=60)


@pytest.fixture(scope="module")
def two() -> Iterator[WorkerPolicy]:
    """The embedded policy in two processes. Transformers: it starts faster, and draws the same tokens alone."""
    policy = load_policy("nano", "transformers", workers=2)
    assert isinstance(policy, WorkerPolicy)
    yield policy
    policy.close()


def requests_for(policy: Policy, problems: int, each: int) -> list[SampleRequest]:
    task = Task.load("ledger")
    prompts = [policy.codec.render(task.messages(p)) for p in load_problems(task, 0, problems, seed=5).test]
    numbers = seeds(11, np.arange(problems * each)).reshape(problems, each)
    return [
        SampleRequest((i, k), prompt, int(numbers[i, k]), 60) for i, prompt in enumerate(prompts) for k in range(each)
    ]


def draw(policy: Policy, requests: list[SampleRequest]) -> dict[object, tuple[list[int], str]]:
    found = [(c.key, (c.token_ids.tolist(), c.finish_reason)) for c in policy.sample(requests, SAMPLING)]
    assert len(found) == len(requests)
    return dict(found)


@pytest.mark.engine
def test_two_processes_draw_and_read_what_one_does(
    two: WorkerPolicy, nano_transformers: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sveb.policies.worker_engine._BATCHES", 2)  # so that each process reads several shares
    asked = requests_for(nano_transformers, 20, 8)  # five blocks
    drawn = draw(two, asked)
    assert drawn == draw(nano_transformers, asked)
    sequences = [[*request.token_ids, *drawn[request.key][0]] for request in asked]
    sequences += [[*sequences[0] * 3, *tail[-5:]] for tail in sequences[:6]]  # these share a long beginning
    assert families(sequences)[0].shared > 0
    for method, arguments in (("hidden_states", (2,)), ("logprobs", ()), ("token_weights", ()), ("confidences", (3,))):
        alone = getattr(nano_transformers, method)(sequences, *arguments)
        for ours, theirs in zip(getattr(two, method)(sequences, *arguments), alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.engine
def test_calls_that_follow_each_other_at_once_are_all_answered(two: WorkerPolicy) -> None:
    asked = requests_for(two, 4, 1)
    expected = draw(two, asked)
    for _ in range(30):
        assert draw(two, asked) == expected


@pytest.mark.engine
def test_an_abandoned_call_leaves_nothing_in_the_next(two: WorkerPolicy) -> None:
    asked = requests_for(two, 20, 10)
    expected = draw(two, asked[:8])
    for _ in range(3):
        abandoned = two.sample(asked, SAMPLING)
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
        assert draw(two, asked[:8]) == expected


@pytest.mark.engine
def test_a_fault_of_the_user_in_a_process_is_told_here_and_the_next_call_works(two: WorkerPolicy) -> None:
    with pytest.raises(SvebError, match="layer 99 does not exist"):
        two.hidden_states([[1, 2], [3, 4]], 99)
    assert [states.shape[0] for states in two.hidden_states([[1, 2], [3]])] == [2, 1]


@pytest.mark.engine
def test_what_a_killed_process_had_to_draw_is_drawn_by_another(
    two: WorkerPolicy, nano_transformers: Policy, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = requests_for(nano_transformers, 20, 16)
    found = {}
    for completion in two.sample(asked, SAMPLING):
        if len(found) == 20:
            os.kill(engine_processes(os.getpid())[0], signal.SIGKILL)
        found[completion.key] = (completion.token_ids.tolist(), completion.finish_reason)
    assert found == draw(nano_transformers, asked)
    assert "an engine process was killed by SIGKILL; another is started" in capfd.readouterr().err


@pytest.mark.engine
def test_a_model_that_cannot_be_loaded_is_the_users_error(tmp_path: Path) -> None:
    for file in fetch_weights("package:nano").folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(SvebError, match="cannot load"):
        load_policy(str(tmp_path), "transformers", workers=2)


CODE = """
import sys
from sveb.policies.engines import load_policy
from sveb.tasks.graders.math_grader import _Process
if __name__ == "__main__":
    policy = load_policy("nano", "transformers", workers=2)
    other = _Process()  # a child that starts while theirs are open
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.engine
def test_the_processes_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    started = engine_processes(parent.pid)
    assert len(started) == 2
    parent.kill()
    parent.communicate()
    for pid in started:
        wait_for_end(pid)


def test_a_small_model_gets_a_process_a_core_and_a_large_one_gets_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nano = fetch_weights("package:nano").folder
    monkeypatch.delenv("SVEB_WORKERS", raising=False)
    monkeypatch.setattr("sveb.policies.workers.cores", lambda: 4)
    monkeypatch.setattr("sveb.policies.workers._has_gpu", lambda: False)
    monkeypatch.setattr("sveb.policies.workers.free_memory", lambda: 2**36)
    assert choose_workers("vllm", nano, 256).number == 4
    assert choose_workers("server", nano, 256).number == choose_workers("ray", nano, 256).number == 1
    assert choose_workers("vllm", nano, 256, 3).number == 3
    monkeypatch.setattr("sveb.policies.workers.free_memory", lambda: 5 * 2**30)
    assert choose_workers("vllm", nano, 256).number == 2
    monkeypatch.setattr("sveb.policies.workers.free_memory", lambda: 2**30)
    assert choose_workers("vllm", nano, 256).number == 1
    monkeypatch.setattr("sveb.policies.workers.free_memory", lambda: 2**36)
    (tmp_path / "config.json").write_text((nano / "config.json").read_text())
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(600 * 2**20)
    assert choose_workers("vllm", tmp_path, 256).number == 4
    assert choose_workers("transformers", tmp_path, 256).number == 1
    monkeypatch.setattr("sveb.policies.workers.free_memory", lambda: 6 * 2**30)
    assert choose_workers("vllm", tmp_path, 256).number == 2
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(2**30)
    assert choose_workers("vllm", tmp_path, 256).number == 1
    monkeypatch.setenv("SVEB_WORKERS", "2")
    assert choose_workers("vllm", tmp_path, 256).number == 2
    monkeypatch.setenv("SVEB_WORKERS", "many")
    with pytest.raises(SvebError, match="SVEB_WORKERS is 'many': expected a number of processes, 1 or more"):
        choose_workers("vllm", nano, 256)
    with pytest.raises(SvebError, match="--workers belongs to the engines vllm and transformers"):
        choose_workers("ray", nano, 256, 2)


def test_the_caches_of_two_engines_fit_a_machine_of_eight_gibibytes() -> None:
    nano = fetch_weights("package:nano").folder
    assert 2 * (cache_bytes(nano, None) + 1.5 * 2**30) < 8 * 2**30
