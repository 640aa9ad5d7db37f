"""Public Monte Carlo values as a suite: the prefixes are its states, their values its truth. Nothing is sampled.

States are cut from responses that estimators do not see. Other responses to a prompt, where the data has them, are its
context rollouts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.generate.importers.findings import Findings
from sveb.generate.importers.prompt_tokens import PromptReader, ReadPrompt, known_problems
from sveb.generate.importers.rollout_import import RETOKENISED
from sveb.generate.importers.suite_writer import LICENCE, counts, empty_folder, imported_policy, write_suite
from sveb.generate.importers.value_formats import Reading, Value, Valued, read_values
from sveb.policies.codec import TextCodec
from sveb.policies.models import fetch_weights, find_model
from sveb.suite.manifest import Manifest
from sveb.suite.protocol import STANDARD
from sveb.suite.truth_statistics import summary_statistics, value_statistics
from sveb.tasks.task import Task

HARD = (
    "hard labels: a state's value is 1 if any of its continuations was right, else 0. That is no mean: on average it "
    "is larger than the chance of success. Each is stored as one return, so its noise is unknown"
)
ASKED = "the data has questions without prompts: the prompts are the task's, not those that responses were sampled with"

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class ValueData:
    """What to import. `source`, `format`: the data. `model`: the policy of the values. `out`: the new suite.

    `task` asks bare questions, and counts as the suite's task. continuations: how many returns a value is the mean of,
    where the rows do not say it. problems: only so many problems, the first ones; None: all. data: a file of problems
    in the task's columns, from which prompts get their reference answers. `sampling` replaces the task's temperature,
    top_p and max_new_tokens by what the values were sampled with.
    """

    source: Path
    format: str
    model: str
    task: str
    out: Path
    revision: str | None = None
    continuations: int | None = None
    problems: int | None = None
    data: Path | None = None
    sampling: Mapping[str, float] | None = None


@dataclass
class _Response:
    """A response that states are cut from. `ends` are the lengths of its states."""

    tokens: Tokens
    return_: float | None
    ends: set[int] = field(default_factory=set)


@dataclass
class _Problem:
    problem_id: str
    prompt: ReadPrompt
    answer: str
    tier: str | None
    responses: list[_Response] = field(default_factory=list)
    values: dict[Tokens, list[Value]] = field(default_factory=dict)
    context: list[tuple[str, float]] = field(default_factory=list)


def import_values(asked: ValueData) -> tuple[Path, Findings]:
    """Writes the suite; returns its folder and what was found unusual. Raises SvebError for faults in the data."""
    empty_folder(asked.out)
    task, entry = Task.load(asked.task), find_model(asked.model)
    weights = fetch_weights(entry.source, asked.revision)
    codec = TextCodec(weights.folder, entry.chat)
    reader = PromptReader(task, codec, known_problems(task, asked.data))
    findings = Findings()
    files, rows = read_values(asked.source, asked.format, Reading(findings, asked.continuations, reader.end))
    seen = _Seen()
    problems = _problems(seen.noting(rows), asked, codec, reader, findings)
    if not problems:
        raise SvebError(f"{asked.source} contains no state with a value{findings.reasons}")
    manifest = Manifest(
        name=asked.out.resolve().name,
        version="1.0.0",
        protocol=STANDARD.name,
        task={
            "name": task.name, "fingerprint": task.fingerprint, "licence": LICENCE,
            "dataset": {"kind": "values", "format": asked.format},
        },
        policy=imported_policy(entry, weights),
        sampling={**task.sampling, **(asked.sampling or {})},
        counts=counts(
            test_problems=len(problems),
            group=max(len(p.context) for p in problems),
            probes=_usual(len(p.responses) for p in problems),
            path_states=_usual(len(r.ends) for p in problems for r in p.responses),
            continuations=_usual(_pooled(v).n for p in problems for v in p.values.values()),
        ),
        seed=0,
        generation={"tokens_sampled": 0},
        notes={
            **STANDARD.notes,
            **({"tokens": RETOKENISED} if seen.texts else {}),
            **({"prompts": ASKED} if seen.questions else {}),
            **({"values": HARD} if seen.hard else {}),
            "import": {
                "format": asked.format, "rows": seen.rows, "files": {path.name: sha256(path) for path in files},
                "warnings": findings.counted,
            },
        },
    )  # fmt: skip
    tables = {
        "problems": _problem_rows(problems),
        "rollouts": _rollout_rows(problems, task, codec),
        "states": _state_rows(problems, codec),
        "truth": _truth_rows(problems),
    }
    write_suite(asked.out, manifest, tables)
    return asked.out, findings


@dataclass
class _Seen:
    """What the rows were like, for the notes."""

    rows: int = 0
    texts: bool = False
    questions: bool = False
    hard: bool = False

    def noting(self, rows: Iterable[Valued]) -> Iterator[Valued]:
        for row in rows:
            self.rows += 1
            self.texts |= isinstance(row.parts[0], str)
            self.questions |= row.prompt_ids is None and row.prompt is None
            self.hard |= row.values[0].hard
            yield row


def _usual(numbers: Iterable[int]) -> int:
    return Counter(numbers).most_common(1)[0][0]


def _problems(
    rows: Iterable[Valued], asked: ValueData, codec: TextCodec, reader: PromptReader, findings: Findings
) -> list[_Problem]:
    """The rows by problem, in the order of their first rows."""
    found: dict[str, _Problem] = {}
    cut: dict[str, set[str | None]] = {}
    for row in rows:
        key = str(row.prompt_ids or row.prompt or row.question)
        if key not in found:
            if asked.problems is not None and len(found) == asked.problems:
                continue
            found[key] = _problem(row, f"{asked.format}-{len(found):05d}", reader, findings)
        problem = found[key]
        tokens, ends = _tokens(row, codec, findings)
        if (largest := max((*tokens, *(row.prompt_ids or ())), default=0)) > (last := len(codec.tokenizer) - 1):
            raise SvebError(
                f"{row.place}: token id {largest}: expected at most {last}, the last one of {asked.model}: name the "
                "model of the data with --model"
            )
        cut.setdefault(key, set()).update((codec.decode(tokens), row.text))
        problem.context = problem.context or list(row.context)
        problem.responses.append(_Response(tokens, row.return_))
        for end, value in zip(ends, row.values, strict=False):
            if tokens[:end] in problem.values:
                findings.warn("a state with several values, which count as one: their returns add up", row.place)
            problem.values.setdefault(tokens[:end], []).append(value)
    for key, problem in found.items():
        # Estimators must not see the outcome of a response that states are cut from.
        problem.context = [each for each in problem.context if each[0] not in cut[key]]
        problem.responses = _longest(problem.responses, problem.values)
    return list(found.values())


def _problem(row: Valued, name: str, reader: PromptReader, findings: Findings) -> _Problem:
    if row.prompt is None and row.prompt_ids is None:
        prompt = reader.ask(row.question or "")
    else:
        prompt = reader.read(row.prompt, row.prompt_ids)
    if not prompt.exact:
        findings.warn("a prompt that no template of the task or the model gives: tokenised as it stands", row.place)
    if not (answer := prompt.known.answer if prompt.known else row.answer):
        findings.warn("no reference answer", row.place)
    return _Problem(name, prompt, answer, prompt.known.tier if prompt.known else row.tier)


def _tokens(row: Valued, codec: TextCodec, findings: Findings) -> tuple[Tokens, list[int]]:
    """The response's tokens, and the length of the state after each part.

    Texts are tokenised part by part, so that each state is a prefix of the next one.
    """
    tokens: list[int] = []
    ends: list[int] = []
    for part in row.parts:
        tokens += codec.encode(part) if isinstance(part, str) else part
        ends.append(len(tokens))
    if isinstance(row.parts[0], str):
        text = "".join(map(str, row.parts))
        if codec.decode(tokens) != text:
            findings.warn("a text that its tokens do not decode to", row.place)
        if codec.encode(text) != tokens:
            findings.warn("a response whose tokens are others if it is tokenised as one text", row.place)
    return tuple(tokens), ends


def _longest(responses: Sequence[_Response], values: Mapping[Tokens, object]) -> list[_Response]:
    """The responses without those that are the beginning of another one, each with the lengths of its states."""
    kept: list[_Response] = []
    for each in sorted(responses, key=lambda response: -len(response.tokens)):
        if not any(other.tokens[: len(each.tokens)] == each.tokens for other in kept):
            kept.append(each)
    for state in filter(None, values):
        next(each for each in kept if each.tokens[: len(state)] == state).ends.add(len(state))
    return [each for each in responses if each.ends]


def _pooled(values: Sequence[Value]) -> Value:
    """Several values of one state as one: of all their returns, or the mean of their means, weighted by n."""
    if len(values) == 1:
        return values[0]
    n = sum(value.n for value in values)
    mean = sum(value.mean * value.n for value in values if value.n) / n if n else float("nan")
    if any(value.returns is None for value in values):
        return Value(mean, n)
    return Value(mean, n, tuple(each for value in values for each in value.returns or ()))


def _problem_rows(problems: Sequence[_Problem]) -> Iterator[dict[str, Any]]:
    for p in problems:
        yield {
            "problem_id": p.problem_id, "split": "test", "question": p.prompt.question, "answer": p.answer,
            "prompt_token_ids": p.prompt.token_ids, "tier": p.tier, "extras": "{}",
        }  # fmt: skip


def _rollout_rows(problems: Sequence[_Problem], task: Task, codec: TextCodec) -> Iterator[dict[str, Any]]:
    for p in problems:
        for place, (text, return_) in enumerate(p.context):
            tokens = codec.encode(text)
            yield _rollout(p, f"c{place:02d}", "context", tokens, codec, return_, task.step_ends(codec.pieces(tokens)))
        for place, response in enumerate(p.responses):
            ends = sorted(response.ends | {len(response.tokens)})
            yield _rollout(p, f"p{place:02d}", "probe", response.tokens, codec, response.return_, ends)


def _rollout(
    problem: _Problem, name: str, role: str, tokens: Sequence[int], codec: TextCodec, return_: float | None,
    ends: list[int],
) -> dict[str, Any]:  # fmt: skip
    return {
        "rollout_id": f"{problem.problem_id}/{name}", "problem_id": problem.problem_id, "role": role,
        "token_ids": list(tokens), "text": codec.decode(tokens), "return_": return_, "finish_reason": None,
        "step_ends": ends, "seed": None,
    }  # fmt: skip


def _states(problem: _Problem) -> Iterator[tuple[str, int | None, int, Tokens]]:
    """Name, number of its response (None: the bare prompt), place among its states, and tokens of each state."""
    if () in problem.values:
        yield f"{problem.problem_id}/root", None, 0, ()
    for number, response in enumerate(problem.responses):
        for place, end in enumerate(sorted(response.ends), start=1):
            yield f"{problem.problem_id}/p{number:02d}/s{place:02d}", number, place, response.tokens[:end]


def _state_rows(problems: Sequence[_Problem], codec: TextCodec) -> Iterator[dict[str, Any]]:
    for p in problems:
        for name, number, place, tokens in _states(p):
            yield {
                "state_id": name, "problem_id": p.problem_id,
                "rollout_id": None if number is None else f"{p.problem_id}/p{number:02d}",
                "kind": "root" if number is None else "path", "step_index": place, "n_tokens": len(tokens),
                "token_ids": list(tokens), "text": codec.decode(tokens), "parent_state_id": None,
            }  # fmt: skip


def _truth_rows(problems: Sequence[_Problem]) -> Iterator[dict[str, Any]]:
    for p in problems:
        for name, _, _, tokens in _states(p):
            value = _pooled(p.values[tokens])
            returns = value.returns
            if returns is None:
                mean, se, n, missing = summary_statistics(value.mean, value.n)
            else:  # as they are stored
                stored = np.asarray([np.nan if each is None else each for each in returns], dtype=np.float32)
                mean, se, n, missing = value_statistics(stored.astype(float))
            yield {
                "state_id": name, "return_": returns, "n_tokens": None, "finish_reason": None,
                "value_mean": mean, "value_se": se, "n_continuations": n, "n_missing": missing,
            }  # fmt: skip
