"""Grades a second: math over math-verify called in a row, programs over bare processes, and what the cache saves.

The answers are those of the embedded suite's draws: 16 continuations a state, with a policy's own repetitions. Both are
integers there, which the math grader compares by itself; so each stands here as sevenths, one in another notation
than the other. Sides take turns within a round, so that a machine whose speed drifts treats them alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import pyarrow.parquet as pq
from math_verify import parse, verify

from bench.report import report
from sveb.common.processor import cores
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.tasks.graders import COMPARERS
from sveb.tasks.graders.extract import after_hashes
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

ROUNDS, DISTINCT, REPEATED, TESTS, PROGRAMS = 5, 60, 2000, 20, 4
ADD = "a, b = map(int, input().split())\nprint(a + b)"

Item = tuple[ProblemRecord, str]


def drawn() -> list[Item]:
    """(problem, answer) of every draw that gives an integer, in stored order."""
    suite = Suite.open("ledger-nano")
    problems = {
        row.problem_id: ProblemRecord(row.problem_id, "", rf"\frac{{{row.answer}}}{{7}}")
        for row in suite.problems.itertuples()
    }
    draws = pq.read_table(suite.path / "draws.parquet", columns=["state_id", "text"]).to_pylist()
    found = ((row["state_id"].split("/")[0], after_hashes(row["text"]) or "") for row in draws)
    return [(problems[name], f"{answer}/7") for name, answer in found if answer.lstrip("-").isdigit()]


def in_a_row(items: Sequence[Item]) -> None:
    """math-verify in this process, one answer after another, with its own time limits."""
    for problem, found in items:
        verify(parse(f"${problem.answer}$"), parse(rf"\boxed{{{found}}}"))


def graded(grading: Grading, items: Sequence[Item], form: str) -> float:
    """Grades all; gives the longest that one `submit` took, in seconds."""
    waiting, longest = [], 0.0
    for problem, found in items:
        text = form % found
        began = time.perf_counter()
        waiting.append(grading.submit(problem, text, "stop"))
        longest = max(longest, time.perf_counter() - began)
    if None in [future.result() for future in waiting]:
        raise SystemExit(f"some could not be graded: {grading.failures}")
    return longest


def seconds(work: Callable[..., object], *arguments: object) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def per_second(count: int, times: Sequence[float]) -> float:
    """Of the median time."""
    return round(count / statistics.median(times), 1)


def math() -> dict[str, float]:
    """Rates of distinct answers in a row and in the pool, and of answers as a policy repeats them."""
    plain = Task.load("gsm8k")
    task = replace(plain, answer={**plain.answer, "grader": "math"})
    items = drawn()
    repeated = items[:REPEATED]
    distinct = {(p.answer, found): (p, found) for p, found in items}
    fresh = iter(distinct.values())
    row, pool, cached, longest = [], [], [], 0.0
    with Grading(task) as warm:
        graded(warm, [(ProblemRecord("w", "", "1/2"), f"{i}/{i + 1}") for i in range(4 * cores())], r"\boxed{%s}")
        for _ in range(ROUNDS):
            one, other = list(islice(fresh, DISTINCT)), list(islice(fresh, DISTINCT))
            row.append(seconds(in_a_row, one))
            pool.append(seconds(graded, warm, other, r"\boxed{%s}"))
    for _ in range(2):
        with Grading(task) as fresh_cache:
            graded(fresh_cache, [(ProblemRecord("w", "", "1/2"), f"{i}/{i + 1}") for i in range(8)], r"\boxed{%s}")
            began = time.perf_counter()
            longest = max(longest, graded(fresh_cache, repeated, r"\boxed{%s}"))
            cached.append(time.perf_counter() - began)
    found = {
        "in_a_row_per_s": per_second(DISTINCT, row),
        "pool_per_s": per_second(DISTINCT, pool),
        "repeated_per_s": per_second(REPEATED, cached),
        "longest_submit_ms": round(1000 * longest, 2),
        "share_known_or_waiting": round(1 - len({(p.answer, a) for p, a in repeated}) / len(repeated), 3),
    }
    ratios = {
        "pool_over_row": round(found["pool_per_s"] / found["in_a_row_per_s"], 2),
        "repeated_over_row": round(found["repeated_per_s"] / found["in_a_row_per_s"], 1),
    }
    return found | ratios


SHORT = {"number": ("18", r"18\text{ eggs}"), "option": ("B", "(B) The owl"), "boolean": ("yes", "Yes, they could")}


def compared(compare: Callable[[str, str], object], reference: str, answer: str) -> None:
    """The same pair, again and again."""
    for _ in range(REPEATED):
        compare(reference, answer)


def short() -> dict[str, float]:
    """Pairs a second of the graders that answer on the spot, each on one spelling with words around it."""
    found = {}
    for name, (reference, answer) in SHORT.items():
        times = [seconds(compared, COMPARERS[name], reference, answer) for _ in range(ROUNDS)]
        found[f"{name}_per_s"] = per_second(REPEATED, times)
    return found


def programs() -> dict[str, float]:
    """Tests a second of programs that pass all, in the sandbox and in bare processes of as many at a time."""
    plain = Task.load("program")
    tests = [{"input": f"{i} {i}\n", "output": f"{2 * i}\n"} for i in range(TESTS)]
    problem = ProblemRecord("p", "", ADD, extras={"tests": tests})
    confined, bare, one_test = [], [], []
    with Grading(plain) as grading:
        for turn in range(ROUNDS):
            items = [(problem, f"{ADD}  # {turn} {i}") for i in range(PROGRAMS)]
            confined.append(seconds(graded, grading, items, "```python\n%s\n```"))
            bare.append(seconds(processes, PROGRAMS * TESTS))
            single = replace(problem, problem_id="q", extras={"tests": tests[:1]})
            items = [(single, found) for _, found in items]
            one_test.append(seconds(graded, grading, items, "```python\n%s\n```"))
    found = {
        "tests_per_s": per_second(PROGRAMS * TESTS, confined),
        "bare_per_s": per_second(PROGRAMS * TESTS, bare),
        "programs_of_one_test_per_s": per_second(PROGRAMS, one_test),
    }
    return found | {"over_bare": round(found["tests_per_s"] / found["bare_per_s"], 2)}


def processes(count: int) -> None:
    """`python -c` for each test, as many at a time as there are cores."""
    for start in range(0, count, cores()):
        running = [
            subprocess.Popen([sys.executable, "-I", "-S", "-c", ADD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(start, min(start + cores(), count))
        ]
        for process in running:
            process.communicate(b"1 2\n")


if __name__ == "__main__":
    report("grading", {"short": short(), "math": math(), "program": programs()})
