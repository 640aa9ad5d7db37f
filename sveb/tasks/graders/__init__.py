"""Graders: from a response's answer to a return, one file a kind.

    extract.py      where the answer stands in a response
    compare.py      number, option, boolean: on the spot
    mathematics.py  math: math-verify, in processes that can be killed
    program.py      program: the answer is code, run in the sandbox against tests (runner.py is what runs there)
    judge.py        judge: a language model compares
    base.py         what a grader is; backlog.py: its queue and its memory

A grader gives a return in [0, 1], or None when it could not decide; None is *missing*, never 0.
"""

from sveb.tasks.graders.extract import EXTRACTORS
from sveb.tasks.graders.short_answers import COMPARERS

# `task`: the task's own `grade(problem, answer) -> float | None` in task.py.
GRADERS = (*COMPARERS, "math", "program", "judge", "task")

__all__ = ["COMPARERS", "EXTRACTORS", "GRADERS"]
