"""The authors' archive as a suite: their states, groups and truth means, their prefixes tokenised for a named model.

Of the truth only mean and count were kept: value_se is that of n returns of 0 or 1, sqrt(g (1 - g) / (n - 1)). Nothing
is sampled, and there are no training problems. The scored responses stay in the pool: the suite's protocol is paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.files import sha256
from sveb.generate.importers.hista_prompts import prompt_messages
from sveb.generate.importers.hista_records import Record, read_records
from sveb.generate.importers.suite_writer import LICENCE, counts, empty_folder, imported_policy, write_suite
from sveb.policies.codec import TextCodec
from sveb.policies.models import fetch_weights, find_model
from sveb.suite.manifest import Manifest
from sveb.suite.protocol import PAPER
from sveb.suite.truth_statistics import summary_statistics
from sveb.tasks.splitters import SPLITTERS, step_ends

_PUBLISHED_SAMPLING = {"temperature": 0.7, "top_p": 1.0, "max_new_tokens": 4096}
_MIN_STEP = 4  # tokens


@dataclass(frozen=True)
class _Problem:
    """A problem with the pool of the first record that has it, the others' responses added: (text, return)."""

    problem_id: str
    first: Record
    pool: list[tuple[str, float]]
    states: list[Record]


def import_hista(
    path: Path, model: str, out: Path, *, revision: str | None = None, system: str | None = None
) -> tuple[Path, dict[str, list[int]]]:
    """Writes the suite; returns its folder and the warnings, each with its records' numbers.

    `model` names the policy that the archive is of: its tokenizer cuts the texts. `system` is the system prompt that
    its responses were sampled under; None: the release's own; "": the release's prompt without a system message.
    Raises SvebError for faults in the file and where `out` is not empty.
    """
    empty_folder(out)
    records, warnings = read_records(path)
    entry = find_model(model)
    weights = fetch_weights(entry.source, revision)
    codec = TextCodec(weights.folder, entry.chat)
    problems = _problems(records)
    pool = Counter(len(problem.pool) for problem in problems).most_common(1)[0][0]
    manifest = Manifest(
        name=out.resolve().name,
        version="1.0.0",
        protocol=PAPER.name,
        task={"name": "hista-import", "fingerprint": sha256(path), "licence": LICENCE, "dataset": {"file": path.name}},
        policy=imported_policy(entry, weights),
        sampling=_PUBLISHED_SAMPLING,
        counts=counts(
            test_problems=len(problems), group=pool, path_states=1,
            continuations=Counter(r.n for r in records).most_common(1)[0][0],
        ),
        seed=0,
        generation={"tokens_sampled": 0},
        notes={
            **PAPER.notes,
            "import": {
                "file": path.name, "records": len(records), "warnings": warnings,
                "system_prompt": "the release's" if system is None else system,
            },
        },
    )  # fmt: skip
    tables = {
        "problems": _problem_rows(problems, codec, system),
        "rollouts": _rollout_rows(problems, codec),
        "states": _state_rows(problems, codec),
        "truth": _truth_rows(problems),
    }
    write_suite(out, manifest, tables)
    return out, warnings


def _problems(records: Sequence[Record]) -> list[_Problem]:
    found: dict[str, _Problem] = {}
    for record in records:
        pool = [(text, 1.0) for text in record.correct] + [(text, 0.0) for text in record.wrong]
        problem = found.setdefault(record.problem, _Problem(f"hista-{record.number:05d}", record, pool, []))
        if record.response not in (text for text, _ in problem.pool):
            problem.pool.append((record.response, 1.0 if record.reward > 0.5 else 0.0))
        problem.states.append(record)
    return list(found.values())


def _problem_rows(problems: Sequence[_Problem], codec: TextCodec, system: str | None) -> Iterator[dict[str, Any]]:
    for p in problems:
        yield {
            "problem_id": p.problem_id, "split": "test", "question": p.first.problem, "answer": p.first.solution,
            "prompt_token_ids": codec.render(prompt_messages(p.first.problem, p.first.verifier, system)),
            "tier": p.first.verifier, "extras": "{}",
        }  # fmt: skip


def _rollout_rows(problems: Sequence[_Problem], codec: TextCodec) -> Iterator[dict[str, Any]]:
    for p in problems:
        for place, (text, return_) in enumerate(p.pool):
            tokens = codec.encode(text)
            yield {
                "rollout_id": f"{p.problem_id}/c{place:02d}", "problem_id": p.problem_id, "role": "context",
                "token_ids": tokens, "text": text, "return_": return_, "finish_reason": None,
                "step_ends": _step_ends(tokens, codec), "seed": None,
            }  # fmt: skip


def _state_rows(problems: Sequence[_Problem], codec: TextCodec) -> Iterator[dict[str, Any]]:
    for p in problems:
        texts = [text for text, _ in p.pool]
        for record in p.states:
            tokens = codec.encode(record.prefix)
            yield {
                "state_id": _state_id(p, record), "problem_id": p.problem_id,
                "rollout_id": f"{p.problem_id}/c{texts.index(record.response):02d}", "kind": "path",
                "step_index": len(_step_ends(tokens, codec)), "n_tokens": len(tokens), "token_ids": tokens,
                "text": record.prefix, "parent_state_id": None,
            }  # fmt: skip


def _truth_rows(problems: Sequence[_Problem]) -> Iterator[dict[str, Any]]:
    for p in problems:
        for record in p.states:
            mean, se, n, missing = summary_statistics(record.value, record.n)
            yield {
                "state_id": _state_id(p, record), "return_": None, "n_tokens": None, "finish_reason": None,
                "value_mean": mean, "value_se": se, "n_continuations": n, "n_missing": missing,
            }  # fmt: skip


def _state_id(problem: _Problem, record: Record) -> str:
    return f"{problem.problem_id}/r{record.number}"


def _step_ends(tokens: Sequence[int], codec: TextCodec) -> list[int]:
    return step_ends(codec.pieces(tokens), SPLITTERS["lines"], _MIN_STEP)
