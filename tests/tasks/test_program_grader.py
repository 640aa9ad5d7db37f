"""Programs against tests: what passes, and twenty that attack whoever runs them."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.sandbox.process_watch import tree
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading, gold_fault
from sveb.tasks.task import Task
from tests.support.needs import require_bubblewrap

PROGRAMS = Path(__file__).with_name("programs")
ADD = "print(sum(map(int, input().split())))"
DEEP = """import sys
sys.setrecursionlimit(10**6)
def f(n):
    return 0 if n == 0 else 1 + f(n - 1)
assert f(10**5) == 10**5
print(sum(map(int, input().split())))"""
SECRET = "SVEB_TEST_SECRET_KEY"

# Each earns its 1 only if the attack came to nothing: it prints what it found, before or instead of the sum.
HARMLESS = [
    "reads_the_truth", "calls_home", "writes_outside", "reads_the_environment", "links", "poisons_the_next_run",
    "fills_the_disk", "becomes_root",
]  # fmt: skip
WRONG = [
    "fork_bomb", "infinite_loop", "sleeps", "stops_itself", "ten_gigabytes", "shared_out_memory", "kills_its_parents",
    "huge_output", "wrong_exit_code", "unflushed", "prints_late", "forges_the_verdict",
]  # fmt: skip


def task(**answer: object) -> Task:
    plain = Task.load("gsm8k")
    limits = {"test_seconds": 1, **answer}
    return replace(plain, answer={**plain.answer, "grader": "program", "extract": "code", **limits})


def problem(*tests: tuple[str, str]) -> ProblemRecord:
    return ProblemRecord("p", "Add.", ADD, extras={"tests": [{"input": a, "output": b} for a, b in tests]})


def response(code: str) -> str:
    return f"This adds:\n```python\n{code}\n```\nDone."


@pytest.fixture(scope="module")
def grading() -> Iterator[Grading]:
    require_bubblewrap()
    os.environ[SECRET] = "x"
    with Grading(task()) as running:
        yield running
    del os.environ[SECRET]


def grade(grading: Grading, code: str, *tests: tuple[str, str]) -> float | None:
    return grading.submit(problem(*tests), response(code), "stop").result(120)


@pytest.mark.parametrize("name", WRONG)
def test_a_program_that_breaks_its_bounds_earns_nothing_and_leaves_nothing(grading: Grading, name: str) -> None:
    before = set(tree(os.getpid()))
    assert grade(grading, (PROGRAMS / f"{name}.py").read_text(), ("2 3\n", "5\n")) == 0.0
    assert set(tree(os.getpid())) <= before
    assert not grading.failures


@pytest.mark.parametrize("name", HARMLESS)
def test_an_attack_comes_to_nothing(grading: Grading, name: str, tmp_path: Path) -> None:
    before = set(tree(os.getpid()))
    truth = tmp_path / "truth.txt"
    truth.write_text("5")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        further = {
            "reads_the_truth": str(truth), "calls_home": str(server.getsockname()[1]), "writes_outside": str(tmp_path),
            "reads_the_environment": SECRET, "links": str(truth),
        }  # fmt: skip
        more = f"{further[name]}\n" if name in further else ""
        code = (PROGRAMS / f"{name}.py").read_text()
        assert grade(grading, code, (f"2 3\n{more}", "5"), (f"4 4\n{more}", "8")) == 1.0
        with pytest.raises(BlockingIOError):
            server.accept()
    assert truth.read_text() == "5"
    assert [path.name for path in tmp_path.iterdir()] == ["truth.txt"]
    assert set(tree(os.getpid())) <= before


def test_every_attack_is_documented_and_tried() -> None:
    files = {path.stem: path.read_text() for path in PROGRAMS.glob("*.py")}
    assert sorted(files) == sorted([*WRONG, *HARMLESS])
    assert all(text.startswith('"""') for text in files.values())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ADD, 1.0),
        ("import sys\nif __name__ == '__main__':\n    print(sum(map(int, sys.stdin.read().split())))\n    exit()", 1.0),
        ("import atexit\natexit.register(lambda: print(sum(map(int, input().split()))))", 1.0),
        ("import threading\nthreading.Thread(target=lambda: print(sum(map(int, input().split())))).start()", 1.0),
        ("from dataclasses import *\n@dataclass\nclass A:\n    x: 'int'\nprint(5 if A(input()).x < '3' else 8)", 1.0),
        ("print(5)", 0.0),
        ("print('5 ', end='\\r\\n' * 3) if input()[0] == '2' else print('\\t8')", 1.0),
        ("print(5, 8)", 0.0),
        ("def f(:", 0.0),
        ("import numpy", 0.0),
        ("print()\nprint('  5' if input()[0] == '2' else 8)", 1.0),
        ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", 1.0),
        (DEEP, 1.0),
    ],
)  # fmt: skip
def test_a_program_passes_every_test_or_fails(grading: Grading, code: str, expected: float) -> None:
    assert grade(grading, code, ("2 3\n", "5\n"), ("4 4", "8")) == expected


def test_a_task_may_let_numbers_differ_a_little() -> None:
    require_bubblewrap()
    texts = ("0.30000000000000004", "0.30", "0.3001", "nan", "'a'")
    with Grading(task(tolerance=1e-6)) as near, Grading(task()) as exact:
        assert [grade(near, f"print({text!r})", ("", "0.3")) for text in texts] == [1.0, 1.0, 0.0, 0.0, 0.0]
        assert [grade(exact, f"print({text!r})", ("", "0.3")) for text in texts] == [0.0] * 5


def test_the_reason_names_the_test_that_fails(grading: Grading) -> None:
    wrong = replace(problem(("1 1", "2"), ("1 2", "4")), problem_id="wrong")
    found = grading.submit(wrong, response(ADD), "stop")
    assert (found.result(60), found.reason) == (0.0, "test 1: it printed something else")


def test_input_and_output_of_megabytes(grading: Grading) -> None:
    lines = "\n".join(map(str, range(300_000)))
    assert grade(grading, "import sys\nsys.stdout.write(sys.stdin.read())", (lines, lines + "\n\n")) == 1.0


def test_a_response_without_code_earns_nothing(grading: Grading) -> None:
    assert grading.submit(problem(("1 1", "2")), f"Just run {ADD}", "stop").result(60) == 0.0


def test_with_a_cap_the_same_tests_are_chosen_for_every_response() -> None:
    """Of ten tests one fails; whether it is among the four chosen depends on the problem's id alone."""
    require_bubblewrap()
    tests = [(f"{i} 0", str(i if i != 7 else -1)) for i in range(10)]
    with Grading(task(max_tests=4)) as grading:
        grades = [
            [
                grading.submit(replace(problem(*tests), problem_id=name), response(ADD + tail), "stop").result(60)
                for tail in ("", "#")
            ]
            for name in ("p3", "p4")
        ]
    assert all(one == other for one, other in grades)
    assert {one for one, _ in grades} == {0.0, 1.0}


def test_without_a_sandbox_nothing_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SvebError, match="the sandbox needs bwrap"), Grading(task()):
        pass


def test_a_sandbox_that_does_not_start_later_gives_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_bubblewrap()
    with Grading(task()) as grading:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        assert grade(grading, ADD, ("1 1", "2")) is None
        assert sum(grading.failures.values()) == 1
        assert "the sandbox needs bwrap" in next(iter(grading.failures))
        monkeypatch.undo()
        assert grade(grading, ADD, ("1 1", "2")) == 1.0


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (None, "expected a list of tests"),
        ([], "expected a list of tests"),
        ("1 2", "expected a list of tests"),
        (["1 2"], 'test 0 is not a table with "input" and "output"'),
        ([{"input": "1", "output": "1"}, {"input": "1"}], 'test 1: "output" is not a text'),
        ([{"input": "1", "output": "1", "type": "function_call"}], "test 0 is of the type 'function_call'"),
        ([{"input": "1", "output": "1", "fn_name": "add"}], "test 0 calls the function 'add'"),
    ],
)
def test_tests_that_cannot_be_read_are_a_fault_of_the_reference(tests: object, message: str) -> None:
    record = ProblemRecord("p", "Add.", ADD, extras={"tests": tests})
    assert message in str(gold_fault(task(), record))
    assert gold_fault(task(), problem(("1", "1"))) is None
