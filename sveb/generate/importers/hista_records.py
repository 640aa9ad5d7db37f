"""The authors' JSON, read record by record; whatever contradicts itself is told with the records' numbers.

A list of objects, one a scored state: `problem`, `solution`, `verifier`, `correct_responses`, `wrong_responses` (the
group, by outcome), `response` (the cut one), `sampled_response` (the prefix), `output_reward` (the cut one's outcome),
`unbiased_state_value` (the truth's mean) and `unbiased_state_value_noise` (errors of means of 1..n of its n returns).
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import read_json
from sveb.common.text import first_few

_PUBLISHED_N = 20
_SHOWN = 20


@dataclass(frozen=True)
class Record:
    """One record. `number` counts from 1; `n` is how many returns `value` is the mean of."""

    number: int
    problem: str
    solution: str
    verifier: str | None
    correct: list[str]
    wrong: list[str]
    response: str
    prefix: str
    reward: float
    value: float
    n: int


@dataclass
class Findings:
    """What is wrong, by kind, each with the numbers of its records."""

    fatal: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    warnings: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def listed(numbers: Sequence[int]) -> str:
    """`record 3` or `records 3, 7, 9 and 4 more`."""
    return f"record{'' if len(numbers) == 1 else 's'} {first_few(numbers, _SHOWN)}"


def read_records(path: Path) -> tuple[list[Record], dict[str, list[int]]]:
    """All records, and the warnings. Raises one SvebError with every fault that leaves a record without a meaning."""
    raw = read_json(path, "the authors' records")
    if not isinstance(raw, list) or not raw:
        found = "an empty list" if raw == [] else f"a {type(raw).__name__}"
        raise SvebError(f"{path} holds {found}: expected a list of records, one a scored state")
    findings = Findings()
    records = [r for number, each in enumerate(raw, start=1) if (r := _record(number, each, findings)) is not None]
    _across(records, findings)
    if findings.fatal:
        lines = [f"  {what}: {listed(numbers)}" for what, numbers in findings.fatal.items()]
        lines += [f"  (warning) {what}: {listed(numbers)}" for what, numbers in findings.warnings.items()]
        raise SvebError(
            f"{path} cannot be imported, {len(findings.fatal)} kinds of fault in {len(raw)} records:\n"
            + "\n".join(lines)
            + "\nfix or remove these records (they count from 1)"
        )
    return records, dict(findings.warnings)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= float(value) <= 1  # type: ignore[arg-type]


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_TEXT: Callable[[object], bool] = lambda value: isinstance(value, str)  # noqa: E731
_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "problem": (_TEXT, "a text"),
    "solution": (lambda value: value is not None, "something"),
    "correct_responses": (_are_texts, "a list of texts"),
    "wrong_responses": (_are_texts, "a list of texts"),
    "response": (_TEXT, "a text"),
    "sampled_response": (_TEXT, "a text"),
    "output_reward": (_is_share, "a number in [0, 1]"),
    "unbiased_state_value": (_is_share, "a number in [0, 1]"),
}


def _record(number: int, raw: Any, findings: Findings) -> Record | None:
    """The record, or None where it has none of the fields' meaning."""
    if not isinstance(raw, dict):
        findings.fatal["the record is not an object"].append(number)
        return None
    whole = True
    for name, (valid, expected) in _FIELDS.items():
        if name not in raw:
            findings.fatal[f"{name} is missing"].append(number)
        elif not valid(raw[name]):
            findings.fatal[f"{name} is not {expected}"].append(number)
        else:
            continue
        whole = False
    if not whole:
        return None
    solution, verifier = raw["solution"], raw.get("verifier")
    noise = raw.get("unbiased_state_value_noise")
    record = Record(
        number=number,
        problem=raw["problem"],
        solution=solution if isinstance(solution, str) else json.dumps(solution),
        verifier=verifier if isinstance(verifier, str) else None,
        correct=raw["correct_responses"],
        wrong=raw["wrong_responses"],
        response=raw["response"],
        prefix=raw["sampled_response"],
        reward=float(raw["output_reward"]),
        value=float(raw["unbiased_state_value"]),
        n=len(noise) if isinstance(noise, list) and noise else _PUBLISHED_N,
    )
    _check(record, noise, findings)
    return record


def _check(r: Record, noise: Any, findings: Findings) -> None:
    def fatal(wrong: bool, what: str) -> None:
        if wrong:
            findings.fatal[what].append(r.number)

    def warn(wrong: bool, what: str) -> None:
        if wrong:
            findings.warnings[what].append(r.number)

    fatal(not r.problem.strip(), "problem is empty")
    fatal(not r.correct and not r.wrong, "there are no responses: correct_responses and wrong_responses are empty")
    fatal(not r.response.startswith(r.prefix), "sampled_response is not a prefix of response")
    fatal(r.n < 2, "the truth is one return: its noise cannot be told")
    warn(not r.prefix, "sampled_response is empty: the state is the bare prompt")
    warn(abs(r.value * r.n - round(r.value * r.n)) > 1e-6, "unbiased_state_value is not a multiple of 1/n")
    right, wrong = r.response in r.correct, r.response in r.wrong
    warn(right and wrong, "response stands among the correct and the wrong ones")
    warn(not right and not wrong, "response is in neither list: added with its own outcome, as the authors do")
    warn(right != wrong and right != (r.reward > 0), "output_reward contradicts the list that response is in")
    warn(0 < r.reward < 1, "output_reward is neither 0 nor 1")
    if isinstance(noise, list) and noise:
        warn(not all(map(_is_share, noise)), "unbiased_state_value_noise contains what is not a number in [0, 1]")
        warn(noise[-1] != 0, "unbiased_state_value_noise does not end at 0, the error of all n returns")
    elif noise is not None and not _is_share(noise):
        warn(True, "unbiased_state_value_noise is neither a list nor a number in [0, 1]")


def _across(records: Sequence[Record], findings: Findings) -> None:
    """What only several records together show."""
    usual = {
        what: Counter(map(count, records)).most_common(1)[0][0] if records else 0
        for what, count in (("responses", _responses), ("returns behind the truth", lambda r: r.n))
    }
    solutions: dict[str, str] = {}
    states: set[tuple[str, str]] = set()
    for r in records:
        if _responses(r) != usual["responses"]:
            findings.warnings[f"not {usual['responses']} responses as in most records"].append(r.number)
        if r.n != usual["returns behind the truth"]:
            findings.warnings[f"not {usual['returns behind the truth']} returns as in most records"].append(r.number)
        if r.problem in solutions:
            findings.warnings[
                "the problem stands in an earlier record: one problem, whose pool is that record's and this response"
            ].append(r.number)
            if solutions[r.problem] != r.solution:
                findings.warnings["the same problem has another solution in an earlier record"].append(r.number)
        if (r.problem, r.prefix) in states:
            findings.warnings["the same state stands in an earlier record"].append(r.number)
        solutions.setdefault(r.problem, r.solution)
        states.add((r.problem, r.prefix))


def _responses(record: Record) -> int:
    return len(record.correct) + len(record.wrong)
