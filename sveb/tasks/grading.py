"""Grades finished responses in parallel with the engine, so that the engine never waits for a grader."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sveb.common.errors import SvebError
from sveb.common.thoughts import in_thought
from sveb.suite.records import FinishReason, ProblemRecord
from sveb.tasks.graders import COMPARERS, EXTRACTORS, VERSIONS
from sveb.tasks.graders import math_grader as mathematics
from sveb.tasks.graders import program_grader as program
from sveb.tasks.graders.backlog import Backlog
from sveb.tasks.graders.grade import EMPTY, SAME, UNREADABLE, Grade, Verdict
from sveb.tasks.graders.grader import Grader
from sveb.tasks.graders.instructions import grade_instructions, instructions_fault
from sveb.tasks.graders.judge_grader import JudgeEndpoint, JudgeGrader
from sveb.tasks.graders.math_grader import MathGrader
from sveb.tasks.graders.program_grader import ProgramGrader
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code


def grader_identity(task: Task) -> dict[str, str | int]:
    """What a suite records about its grader: its name and the version of its rules."""
    name = task.answer["grader"]
    return {"name": name, "version": VERSIONS[name]}


def gold_fault(task: Task, problem: ProblemRecord) -> str | None:
    """Why the task's grader cannot use this problem's reference, or None. Fast: runs no program and asks no judge."""
    grader, answer = task.answer["grader"], problem.answer
    if not answer.strip():
        return "the reference answer is empty"
    if grader in COMPARERS and COMPARERS[grader](answer, answer).grade != 1.0:
        return f"the grader {grader!r} cannot read the reference {answer!r}"
    if grader == "math" and (fault := mathematics.reference_fault(answer)):
        return fault
    if grader == "program":
        return program.tests_fault(problem.extras.get("tests"))
    if grader == "instructions":
        if fault := instructions_fault(problem.extras.get("instructions"), problem.extras.get("topic")):
            return fault
        said = _keeps_instructions(problem, answer)
        return None if said.grade == 1.0 else f"the reference {said.reason}"
    if grader == "task" and load_code(task.name).grade(problem, answer) != 1.0:
        return f"the task's own grader does not accept the reference {answer!r}"
    return None


class Grading:
    """The graders of one task at work. Use as a context manager.

    `failures` counts, by reason, the gradings that gave None (missing, never 0). Raises SvebError if something that the
    task's grader needs is missing.
    """

    def __init__(self, task: Task, judge: JudgeEndpoint | None = None) -> None:
        self.task = task
        self.failures: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._extract = EXTRACTORS[task.answer["extract"]]
        self._truncated = task.truncated
        self._compare = _comparison(task)
        self._grader = None if self._compare else _grader(task, judge)
        self._backlog: Backlog | None = None

    def __enter__(self) -> Self:
        if self._grader is not None:
            self._grader.check()
            self._backlog = Backlog(self._grader, self._settle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, problem: ProblemRecord, text: str, finish_reason: FinishReason) -> Grade:
        """The return of a whole response in [0, 1], or None if it could not be graded; the future never raises.

        A response that ran out of budget gets the return that the task defines for it, by default 0, because the policy
        did not finish within its tokens. So does one that stops inside its thought, before any answer. Any other
        response without an answer gets 0. This call returns immediately unless thousands of answers are waiting.
        """
        grade = Grade()
        if finish_reason == "length" and self._truncated is not None:
            grade.settle(Verdict(self._truncated, "ran out of tokens"))
            return grade
        whole = self.task.thought + text
        found = self._extract(whole, problem.answer) or ""
        if self._truncated is not None and not found.strip() and in_thought(whole):
            grade.settle(Verdict(self._truncated, "did not end its thought"))
            return grade
        return self.submit_answer(problem, found, grade)

    def submit_answer(self, problem: ProblemRecord, found: str, grade: Grade | None = None) -> Grade:
        """Like `submit`, for an answer that has already been extracted from its response."""
        grade = grade or Grade()
        try:
            if self._compare is not None:
                self._settle([grade], self._compare(problem, found))
            else:
                self._pass_on(problem, found, grade)
        except Exception as error:  # a task's own code may raise any exception: the run continues
            self._settle([grade], Verdict(None, f"the grader raised {type(error).__name__}"))
        return grade

    def close(self) -> None:
        """Ends the workers. Answers that are not graded by then get None."""
        if self._backlog is not None:
            self._backlog.close()

    def _pass_on(self, problem: ProblemRecord, found: str, grade: Grade) -> None:
        assert self._grader is not None
        if self._backlog is None:
            raise SvebError("this grader works only inside `with Grading(...)`")
        verdict = self._grader.at_once(problem, found) if found.strip() else Verdict(0.0, EMPTY)
        if verdict is None:
            self._backlog.add(problem, found, grade)
        else:
            grade.settle(verdict)

    def _settle(self, grades: list[Grade], verdict: Verdict) -> None:
        if verdict.grade is None and grades:
            with self._lock:
                self.failures[verdict.reason] += len(grades)
        for grade in grades:
            grade.settle(verdict)


def _comparison(task: Task) -> Callable[[ProblemRecord, str], Verdict] | None:
    """A grader that answers immediately, or None."""
    name = task.answer["grader"]
    if name == "task":
        own: Callable[[ProblemRecord, str], float | None] = load_code(task.name).grade
        return lambda problem, found: _named(own(problem, found), found)
    if name == "instructions":
        return _keeps_instructions
    if name not in COMPARERS:
        return None
    compare = COMPARERS[name]

    def verdict(problem: ProblemRecord, found: str) -> Verdict:
        said = compare(problem.answer, found)
        return Verdict(0.0, EMPTY) if said.grade == 0.0 and not found.strip() else said

    return verdict


def _keeps_instructions(problem: ProblemRecord, found: str) -> Verdict:
    extras = problem.extras
    return grade_instructions(problem.question, extras.get("instructions"), extras.get("topic"), found)


def _named(grade: float | None, found: str) -> Verdict:
    """The verdict of a task's own code, which gives no reasons."""
    if grade is None:
        return Verdict(None, UNREADABLE)
    reason = SAME if grade == 1.0 else "the task's own grader does not accept it" if found.strip() else EMPTY
    return Verdict(float(grade), reason)


def _grader(task: Task, judge: JudgeEndpoint | None) -> Grader:
    match task.answer["grader"]:
        case "math":
            return MathGrader()
        case "program":
            return ProgramGrader(task)
        case _ if judge is None:
            raise SvebError(f"task {task.name!r} is graded by a language model, but no model is given")
        case _:
            return JudgeGrader(judge)
