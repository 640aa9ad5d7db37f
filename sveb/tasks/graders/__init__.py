"""Graders: from a response's answer to a return, one file a kind.

    extract.py         where the answer stands in a response
    written.py         markup around an answer; measure_units.py: units of measure; number_words.py: `twelve`
    number.py, option.py, boolean.py   on the spot
    math_grader.py     math: in processes that can be killed; what works there:
        math_reading.py    text -> one of math_kinds.py, through math_notation.py (one notation, parts), math_value.py
                           (an expression with its unit), math_sets.py (intervals)
        math_expression.py text -> sympy expression, through math_tokens.py; math_bounds.py: what is too large
        math_compare.py    whether two readings say the same; math_equal.py: whether two values are equal
    instructions.py    instructions: whether a text keeps them; instruction_kinds.py: the rule of each kind;
                       response_text.py: the parts of a text that a rule counts
    program_grader.py  program: code, run in the sandbox against tests (program_runner.py is what runs there)
    judge_grader.py    judge: a language model compares
    grader.py          what a grader is; grade.py: what it says; backlog.py: its queue and its memory

A grader gives a return in [0, 1], or None when it could not decide; None is *missing*, never 0.
"""

from collections.abc import Callable

from sveb.tasks.graders.boolean import same_boolean
from sveb.tasks.graders.extract import EXTRACTORS
from sveb.tasks.graders.grade import Verdict
from sveb.tasks.graders.number import same_number
from sveb.tasks.graders.option import same_option

# From the reference and the answer, on the spot.
COMPARERS: dict[str, Callable[[str, str], Verdict]] = {
    "number": same_number,
    "option": same_option,
    "boolean": same_boolean,
}

# By name: the version of the rules, with those of the extractors. Raised whenever any grade may change.
VERSIONS = {"number": 2, "option": 2, "boolean": 2, "math": 2, "program": 2, "judge": 2, "task": 2, "instructions": 1}
# `task`: the task's own `grade(problem, answer) -> float | None` in task.py.
GRADERS = tuple(VERSIONS)

__all__ = ["COMPARERS", "EXTRACTORS", "GRADERS", "VERSIONS"]
