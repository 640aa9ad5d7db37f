"""Finds grades that may be wrong: graded responses whose return does not agree with their text.

A return of 0 is suspect if the answer equals the reference after loose normalisation: a right answer may have been
refused. A return of 1 is suspect if the text of the answer differs from the reference: a wrong answer may have been
accepted. If the whole response is the answer, there is nothing to compare it with: then a 0 is suspect if the response
keeps its instructions after IFEval's loose changes (without its first line, its last line or its asterisks), and a 1 if
more than half of its words are repeated. A person reads both lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy.stats import beta

from sveb.common.seeds import rng
from sveb.common.thoughts import spoken
from sveb.suite.records import ProblemRecord
from sveb.tasks.graders import EXTRACTORS
from sveb.tasks.graders.instructions import grade_instructions
from sveb.tasks.graders.response_text import words_of
from sveb.tasks.task import Task

_MACRO = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|boxed|left|right|displaystyle|d?frac|[,;:! ])")
_LOOSE = re.compile(r"[\s{}()\[\]$~*.,:;!\"'`\\_^]|\b(?:the|answer|is|option|choice)\b")
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Response:
    """A graded response of a suite."""

    response_id: str
    problem_id: str
    text: str
    return_: float


@dataclass(frozen=True)
class Suspect:
    """A response to read: `answer` is what was compared with `reference`."""

    response_id: str
    reference: str
    answer: str
    return_: float
    why: str


@dataclass(frozen=True)
class Rate:
    """`count` of `total`, with a Clopper-Pearson interval of 95 %. If `total` is 0, the interval is [0, 1]."""

    count: int
    total: int

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end, in [0, 1]."""
        k, n, tail = self.count, self.total, (1 - _CONFIDENCE) / 2
        if n == 0:
            return 0.0, 1.0
        low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
        return low, 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))


@dataclass(frozen=True)
class Audit:
    """`refused`: 0s that look right. `paid`: 1s that look different. Rates of suspects are upper bounds."""

    sampled: int
    refused: list[Suspect]
    paid: list[Suspect]
    false_negatives: Rate
    false_positives: Rate


def audit(task: Task, problems: Mapping[str, ProblemRecord], responses: Iterable[Response], n: int, seed: int) -> Audit:
    """Checks `n` of the responses, chosen by `seed`, with equal numbers of 0s and 1s if there are enough."""
    every = sorted(responses, key=lambda response: response.response_id)
    by_return = {wanted: [r for r in every if (r.return_ >= 0.5) == wanted] for wanted in (False, True)}
    chosen: dict[bool, list[Response]] = {}
    for wanted, group in by_return.items():
        most = max(n // 2, n - len(by_return[not wanted]))
        order = rng(seed, "audit", str(wanted)).permutation(len(group))[:most]
        chosen[wanted] = [group[place] for place in sorted(order)]
    refused = [s for r in chosen[False] if (s := _suspect(task, problems[r.problem_id], r)) and s.why]
    paid = [s for r in chosen[True] if (s := _suspect(task, problems[r.problem_id], r)) and s.why]
    return Audit(
        len(chosen[False]) + len(chosen[True]), refused, paid,
        Rate(len(refused), len(chosen[False])), Rate(len(paid), len(chosen[True])),
    )  # fmt: skip


def loose(text: str) -> str:
    """The text without the parts that may differ between two ways to write the same answer."""
    plain = _LOOSE.sub("", _MACRO.sub("", text.casefold().replace("−", "-")))
    return plain.lstrip("+0") or plain


def _suspect(task: Task, problem: ProblemRecord, response: Response) -> Suspect | None:
    if task.answer["grader"] == "instructions":
        return _suspect_text(task, problem, response)
    answer = EXTRACTORS[task.answer["extract"]](task.thought + response.text, problem.answer)
    equal = answer is not None and loose(answer) == loose(problem.answer)
    if response.return_ >= 0.5 and not equal:
        why = "paid, and written differently"
    elif response.return_ < 0.5 and equal:
        why = "refused, and the same after loose normalisation"
    elif response.return_ < 0.5 and answer is None and _ends_with(response.text, problem.answer):
        why = "refused without an answer, and the response ends with the reference"
    else:
        return None
    return Suspect(response.response_id, problem.answer, answer or "(none)", response.return_, why)


def _suspect_text(task: Task, problem: ProblemRecord, response: Response) -> Suspect | None:
    instructions, topic = problem.extras["instructions"], problem.extras.get("topic")
    text = spoken(task.thought + response.text)
    words = words_of(text)
    if response.return_ >= 0.5:
        why = "paid, and more than half of its words are repeated" if 2 * len(set(words)) < len(words) else ""
    else:
        changed = {
            "its first line": text.partition("\n")[2],
            "its last line": text.rstrip().rpartition("\n")[0],
            "its asterisks": text.replace("*", ""),
        }
        kept = [
            what for what, other in changed.items()
            if grade_instructions(problem.question, instructions, topic, other).grade == 1.0
        ]  # fmt: skip
        why = f"refused, and accepted without {' or '.join(kept)}" if kept else ""
    return Suspect(response.response_id, "; ".join(instructions), text, response.return_, why) if why else None


def _ends_with(text: str, reference: str) -> bool:
    last = text.rstrip().rpartition("\n")[2][-200:]
    return bool(re.search(rf"(?<![\w.]){re.escape(reference.strip())}\W*$", last))
