"""Grading next to the engine: rules, failures, equal answers, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.backlog import STOPPED, Backlog
from sveb.tasks.graders.grade import Grade, Verdict
from sveb.tasks.graders.grader import UngradedError
from sveb.tasks.grading import Grading, gold_fault
from sveb.tasks.task import Task
from tests.support.needs import require_bubblewrap
from tests.support.processes import wait_for_end

NUMBER = Task.load("gsm8k")
PROBLEM = ProblemRecord("p", "2 + 3?", "5")


def with_answer(**answer: object) -> Task:
    return replace(NUMBER, answer={**NUMBER.answer, **answer})


@pytest.mark.parametrize(
    ("task", "expected"), [(NUMBER, 0.0), (with_answer(truncated=0.25), 0.25), (with_answer(grader="math"), 0.0)]
)
def test_a_response_that_ran_out_of_budget_gets_the_tasks_return_for_it(task: Task, expected: float) -> None:
    with Grading(task) as grading:
        assert grading.submit(PROBLEM, r"\boxed{5} and on", "length").result(0) == expected


def test_a_cheap_grade_is_there_at_once() -> None:
    with Grading(NUMBER) as grading:
        text = "Two and three make five. " * 40 + r"\boxed{5}"
        for _ in range(500):
            assert grading.submit(PROBLEM, text, "stop").done()


@pytest.mark.parametrize(
    ("rule", "expected", "reason"),
    [
        ("float(answer == '2+3' and problem.answer == '5')", 1.0, None),
        ("1 / 0", None, "the grader raised ZeroDivisionError"),
        ("None", None, "the reference cannot be read"),
    ],
)
def test_a_tasks_own_grader(monkeypatch, rule: str, expected: float | None, reason: str | None) -> None:
    own = SimpleNamespace(grade=eval(f"lambda problem, answer: {rule}"))
    monkeypatch.setitem(sys.modules, "sveb_task_own", own)
    with Grading(replace(with_answer(grader="task"), name="own")) as grading:
        assert grading.submit(PROBLEM, r"\boxed{2+3}", "stop").result(0) == expected
        assert grading.failures == Counter([reason] if reason else [])


def test_a_reference_that_cannot_be_read_is_missing_and_named() -> None:
    broken = replace(PROBLEM, answer="several")
    assert gold_fault(NUMBER, broken) == "the grader 'number' cannot read the reference 'several'"
    with Grading(NUMBER) as grading:
        assert grading.submit(broken, r"\boxed{5}", "stop").result(0) is None
        assert sum(grading.failures.values()) == 1


class Slow:
    """A grader that waits until it is let go, and notes what it was asked."""

    threads = 2

    def __init__(self, *outcomes: float | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[str] = []
        self.go = threading.Event()

    def check(self) -> None: ...

    def key(self, problem: ProblemRecord, found: str) -> tuple[str, ...]:
        return problem.problem_id, found

    def at_once(self, problem: ProblemRecord, found: str) -> None: ...

    def grade(self, problem: ProblemRecord, found: str) -> Verdict:  # noqa: ARG002
        self.asked.append(found)
        self.go.wait(10)
        outcome = self.outcomes.pop(0) if self.outcomes else 1.0
        if isinstance(outcome, Exception):
            raise outcome
        return Verdict(outcome, "scripted")

    def close(self) -> None:
        self.go.set()


class Bench:
    """A backlog in front of a grader, and what came out of it."""

    def __init__(self, grader: Slow) -> None:
        self.reasons: Counter[str] = Counter()
        self.backlog = Backlog(grader, self.settle)

    def settle(self, futures: list[Grade], verdict: Verdict) -> None:
        for future in futures:
            self.reasons[verdict.reason] += verdict.grade is None
            future.settle(verdict)

    def add(self, found: str) -> Grade:
        future = Grade()
        self.backlog.add(PROBLEM, found, future)
        return future


def test_equal_answers_are_graded_once_while_they_wait_and_afterwards() -> None:
    grader = Slow()
    bench = Bench(grader)
    waiting = [bench.add(found) for found in "aabaabaa"]
    assert not any(future.done() for future in waiting)
    grader.go.set()
    assert [future.result(5) for future in waiting] == [1.0] * 8
    assert bench.add("a").result(5) == 1.0
    assert sorted(grader.asked) == ["a", "b"]
    bench.backlog.close()


def test_a_failure_is_tried_twice_then_missing_then_tried_again_when_it_is_submitted_again() -> None:
    fault = UngradedError("no")
    grader = Slow(fault, 1.0, fault, ValueError("x"), fault, 0.0, UngradedError("never", hopeless=True))
    grader.go.set()
    bench = Bench(grader)
    assert [bench.add(found).result(5) for found in "abbc"] == [1.0, None, 0.0, None]
    assert grader.asked == ["a", "a", "b", "b", "b", "b", "c"]
    assert +bench.reasons == Counter({"the grader raised ValueError": 1, "never": 1})
    bench.backlog.close()


def test_closing_leaves_nobody_waiting_and_gives_no_grade_that_it_may_have_spoilt() -> None:
    bench = Bench(Slow(0.0, 0.0, 0.0))
    waiting = [bench.add(found) for found in "abcdef"]
    bench.backlog.close()
    assert [future.result(5) for future in waiting] == [None] * 6
    assert +bench.reasons == Counter({STOPPED.reason: 6})
    assert bench.add("g").result(5) is None


def test_more_answers_than_there_is_room_for_wait_their_turn_and_closing_frees_them(monkeypatch) -> None:
    monkeypatch.setattr("sveb.tasks.graders.backlog._WAITING", 3)
    bench = Bench(Slow())
    waiting: list[Grade] = []
    adding = threading.Thread(target=lambda: waiting.extend(bench.add(found) for found in "abcdef"))
    adding.start()
    adding.join(0.3)
    assert adding.is_alive()
    assert len(waiting) == 3
    bench.backlog.close()
    adding.join(5)
    assert [future.result(5) for future in waiting] == [None] * 6
    assert +bench.reasons == Counter({STOPPED.reason: 6})


# The grammar bounds powers, but not those inside a sum.
ENDLESS = r"\boxed{\sum_{k=1}^{2} 9^{9^{9^{9}}}}"

_BUSY = """
import dataclasses, os, sys, time
from sveb.suite.records import ProblemRecord
from sveb.sandbox.process_watch import tree
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

task = Task.load("gsm8k")
task = dataclasses.replace(task, answer={**task.answer, "grader": sys.argv[1], "extract": sys.argv[2]})
problem = ProblemRecord("p", "?", "5", extras={"tests": [{"input": "", "output": "5"}]})
with Grading(task) as grading:
    future = grading.submit(problem, sys.argv[3], "stop")
    while len(tree(os.getpid())) < 2:
        time.sleep(0.05)
    time.sleep(0.7)
    print(*tree(os.getpid())[1:], flush=True)
    future.result()
"""


@pytest.fixture(params=["math", "program"])
def busy(request: pytest.FixtureRequest) -> subprocess.Popen[str]:
    """A process whose grader works on what has no end; its first line names the grader's processes."""
    arguments = ["math", "boxed", ENDLESS]
    if request.param == "program":
        require_bubblewrap()
        arguments = ["program", "code", "```python\nwhile True: pass\n```"]
    return subprocess.Popen(
        [sys.executable, "-c", _BUSY, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def test_no_process_outlives_a_parent_that_was_killed(busy: subprocess.Popen[str]) -> None:
    assert busy.stdout is not None
    pids = [int(word) for word in busy.stdout.readline().split()]
    assert pids
    busy.kill()
    busy.wait()
    for pid in pids:
        wait_for_end(pid)


def test_ctrl_c_ends_everything_at_once(busy: subprocess.Popen[str]) -> None:
    assert busy.stdout is not None
    pids = [int(word) for word in busy.stdout.readline().split()]
    os.killpg(busy.pid, signal.SIGINT)
    _, said = busy.communicate()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert said.count("Traceback") == 1
    for pid in pids:
        wait_for_end(pid)
