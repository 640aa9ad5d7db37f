"""Checks a task's grader: every reference must score 1, and a changed reference must score 0."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.boolean import parse_boolean
from sveb.tasks.graders.grade import Grade
from sveb.tasks.graders.judge_grader import JudgeEndpoint
from sveb.tasks.graders.number import parse_number, spelled
from sveb.tasks.graders.option import parse_option
from sveb.tasks.grading import Grading
from sveb.tasks.problems import open_rows, problem_fault
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code

# Generated problems are unlimited.
_GENERATED = 1000
# Answers that wait for the graders at once: enough to keep them busy, few enough for memory.
_AHEAD = 64


@dataclass
class Check:
    """The result of a check.

    `faults` are (split, row, what is wrong), in the order of the rows. `ungraded` counts, by reason, the answers that
    could not be graded; `left_out` counts the rows that the task leaves out.
    """

    problems: int = 0
    gold_right: int = 0
    altered_wrong: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    ungraded: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[str, int, str]] = field(default_factory=list)


def response(task: Task, answer: str) -> str:
    """The shortest response in the task's format that gives `answer`."""
    match task.answer["extract"]:
        case "hashes":
            return f"#### {answer}"
        case "code":
            return f"```python\n{answer}\n```"
        case "whole":
            return answer
    return f"\\boxed{{{answer}}}"


def altered(task: Task, problem: ProblemRecord) -> str:
    """A wrong answer as near to the reference as the grader's kind allows."""
    answer = problem.answer
    match task.answer["grader"]:
        case "number":
            number = parse_number(answer)
            return spelled(number.number + 1) if number else "0"
        case "option":
            return "B" if parse_option(answer) == "A" else "A"
        case "boolean":
            return "no" if parse_boolean(answer) else "yes"
        case "math":
            return f"{answer} + 1"
        case "program":
            return "print('no answer')"
        case "task" | "instructions":
            return str(load_code(task.name).altered(problem))
    return "I do not know."


def check(
    task: Task, data: Path | None, progress: Callable[[int, int], None], judge: JudgeEndpoint | None = None
) -> Check:
    """Grades the reference of every problem, and a changed one. A row that cannot be used is a fault too.

    `data` as for `load_problems`; a generated task gives its first 1000 problems. `progress(done, total)` is called for
    each problem. Rows that the task leaves out (its filter, `unusable = "skip"`) are counted, not checked.
    """
    found = Check()
    waiting: deque[tuple[str, int, Grade, Grade]] = deque()  # grades of the reference and of the changed one

    def settle() -> None:
        split, row, gold, other = waiting.popleft()
        right, wrong = gold.result(), other.result()
        found.gold_right += right == 1
        found.altered_wrong += wrong == 0
        for what, grade, wanted in (("the reference", right, 1.0), ("an altered reference", wrong, 0.0)):
            if grade != wanted:
                scored = "could not be graded" if grade is None else f"scores {grade:g} instead of {wanted:g}"
                found.faults.append((split, row, f"{what} {scored}"))

    with Grading(task, judge) as grading:
        for done, total, split, row, problem in _problems(task, data, found):
            found.problems += 1
            gold = grading.submit(problem, response(task, problem.answer), "stop")
            other = grading.submit(problem, response(task, altered(task, problem)), "stop")
            waiting.append((split, row, gold, other))
            if len(waiting) > _AHEAD:
                settle()
            progress(done, total)
        while waiting:
            settle()
        found.ungraded = dict(grading.failures)
    found.faults.sort()
    if not found.problems and not found.faults:
        left_out = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items())
        raise SvebError(f"task {task.name!r}: there are no rows to check: {left_out}")
    return found


def _problems(task: Task, data: Path | None, found: Check) -> Iterator[tuple[int, int, str, int, ProblemRecord]]:
    """(done, total, split, row, problem) of every usable row. The other rows are added to `found`."""
    if data is None and task.source["kind"] == "generated":
        for row, problem in enumerate(load_code(task.name).problems("test", _GENERATED, 0)):
            yield row + 1, _GENERATED, "test", row, problem
        return
    tables = open_rows(task, data)[0]
    listed = {split: rows.listed() for split, rows in tables.items()}
    done, total = 0, sum(map(len, listed.values()))
    for split, rows in tables.items():
        for row, name in listed[split]:
            done += 1
            problem = rows.problem(row, name)
            fault = problem_fault(task, problem)
            if fault is None:
                yield done, total, split, row, problem
            elif task.skips_unusable:
                rows.left_out["unusable"] += 1
            else:
                found.faults.append((split, row, fault))
        for reason, count in rows.left_out.items():
            found.left_out[reason] = found.left_out.get(reason, 0) + count
