"""Graders: from a response's answer to a return, one file a kind.

    extract.py         where the answer stands in a response
    short_answers.py   number, option, boolean: on the spot
    math_grader.py     math: math-verify, in processes that can be killed
    program_grader.py  program: code, run in the sandbox against tests (program_runner.py is what runs there)
    judge_grader.py    judge: a language model compares
    grader.py          what a grader is; backlog.py: its queue and its memory

A grader gives a return in [0, 1], or None when it could not decide; None is *missing*, never 0.
"""

from sveb.tasks.graders.extract import EXTRACTORS
from sveb.tasks.graders.short_answers import COMPARERS

# `task`: the task's own `grade(problem, answer) -> float | None` in task.py.
GRADERS = (*COMPARERS, "math", "program", "judge", "task")

__all__ = ["COMPARERS", "EXTRACTORS", "GRADERS"]
