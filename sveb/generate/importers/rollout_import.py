"""A trainer's rollouts as a suite without states: its problems, and their groups as context rollouts with returns.

`sveb generate --from-rollouts` completes it: it samples probe rollouts, cuts states and adds the truth
(generate/given_rollouts.py).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.generate.importers.dump_formats import read_dump
from sveb.generate.importers.dumped import Dumped
from sveb.generate.importers.findings import Findings
from sveb.generate.importers.prompt_tokens import PromptReader, ReadPrompt, known_problems
from sveb.generate.importers.suite_writer import counts, empty_folder, imported_policy, write_suite
from sveb.policies.codec import TextCodec
from sveb.policies.models import fetch_weights, find_model
from sveb.suite.manifest import Manifest
from sveb.suite.protocol import STANDARD
from sveb.tasks.grading import grader_identity
from sveb.tasks.task import Task

RETOKENISED = (
    "the dump has no token ids: the rollouts' texts were tokenised again, so their tokens may differ from the sampled "
    "ones, and the end of a response is not among them"
)


@dataclass(frozen=True)
class RolloutDump:
    """What to import. `folder`, `format`: the dump. `model`: the policy that sampled it. `out`: the new suite.

    step: the training step (None: the last one), because other steps are rollouts of other policies. reward: the name
    of the reward to take, "" for the usual one. low, high: the rewards that become returns 0 and 1. data: a file of
    problems in the task's columns, from which prompts get their reference answers. `sampling` replaces the task's
    temperature, top_p and max_new_tokens by what the trainer used.
    """

    folder: Path
    format: str
    model: str
    task: str
    out: Path
    revision: str | None = None
    step: int | None = None
    reward: str = ""
    low: float = 0.0
    high: float = 1.0
    data: Path | None = None
    sampling: Mapping[str, float] | None = None


@dataclass(frozen=True)
class _Group:
    problem_id: str
    prompt: ReadPrompt
    answer: str
    rollouts: list[tuple[list[int], Dumped]]


def import_rollouts(asked: RolloutDump) -> tuple[Path, Findings]:
    """Writes the suite; returns its folder and what was found unusual. Raises SvebError for faults in the dump."""
    empty_folder(asked.out)
    if not asked.low < asked.high:
        raise SvebError(f"the reward range is {asked.low:g} to {asked.high:g}: expected LOW:HIGH with LOW below HIGH")
    task, entry = Task.load(asked.task), find_model(asked.model)
    weights = fetch_weights(entry.source, asked.revision)
    codec = TextCodec(weights.folder, entry.chat)
    findings = Findings()
    files, dumped = read_dump(asked.folder, asked.format, findings, asked.reward, asked.step)
    chosen = [replace(each, reward=_return(each, asked)) for each in _unique(dumped, findings)]
    reader = PromptReader(task, codec, known_problems(task, asked.data))
    groups = _groups(chosen, asked.format, codec, reader, findings)
    exact = all(d.response_ids is not None for d in chosen)
    if not exact:
        _retokenised(groups, findings)
    manifest = Manifest(
        name=asked.out.resolve().name,
        version="1.0.0",
        protocol=STANDARD.name,
        task={
            "name": task.name, "fingerprint": task.fingerprint, "licence": task.licence,
            "dataset": {"kind": "rollouts", "format": asked.format}, "grader": grader_identity(task),
        },
        policy=imported_policy(entry, weights),
        sampling={**task.sampling, **(asked.sampling or {})},
        counts=counts(test_problems=len(groups), group=max(len(group.rollouts) for group in groups)),
        seed=0,
        generation={"tokens_sampled": 0},
        notes={
            **STANDARD.notes,
            **({} if exact else {"tokens": RETOKENISED}),
            "import": {
                "format": asked.format, "step": chosen[0].step, "reward": asked.reward or "the usual one",
                "reward_range": [asked.low, asked.high], "rollouts": len(chosen),
                "files": {path.name: sha256(path) for path in files}, "warnings": findings.counted,
            },
        },
    )  # fmt: skip
    tables = {"problems": _problem_rows(groups), "rollouts": _rollout_rows(groups, task, codec)}
    write_suite(asked.out, manifest, tables)
    return asked.out, findings


def _unique(dumped: Sequence[Dumped], findings: Findings) -> list[Dumped]:
    """Without rows that repeat a rollout: the same id, as a resumed run writes it again. The last one was trained on.

    Rows without ids are all kept: a policy may well give the same response twice.
    """
    last: dict[object, Dumped] = {}
    texts: Counter[tuple[str, str]] = Counter()
    for each in dumped:
        if each.sample is None:
            last[each.place] = each
            texts[str(each.prompt), str(each.response)] += 1
            if texts[str(each.prompt), str(each.response)] == 2:
                findings.warn("a response that its prompt has more than once: all are kept", each.place)
            continue
        key = (each.group, each.sample)
        if key in last:
            findings.warn("the step was written again for this rollout: the later row is kept", each.place)
        last[key] = each
    return list(last.values())


def _return(dumped: Dumped, asked: RolloutDump) -> float | None:
    if dumped.reward is None:
        return None
    value = (dumped.reward - asked.low) / (asked.high - asked.low)
    if not 0 <= value <= 1:
        raise SvebError(
            f"{dumped.place}: the reward is {dumped.reward:g}: expected {asked.low:g} to {asked.high:g}; name the "
            "rewards of a wrong and of a right response with --reward-range LOW:HIGH, or another reward with --reward"
        )
    return value


def _groups(
    dumped: Sequence[Dumped], form: str, codec: TextCodec, reader: PromptReader, findings: Findings
) -> list[_Group]:
    """The rollouts by problem, in the order of their first rows: by the dump's id, else by the prompt."""
    members: dict[str, list[Dumped]] = defaultdict(list)
    for each in dumped:
        # One id for two prompts would mix two problems.
        members[f"{each.group}/{each.prompt or each.prompt_ids}"].append(each)
    usual = Counter(map(len, members.values())).most_common(1)[0][0]
    prompts: set[tuple[int, ...]] = set()
    groups = []
    for number, rows in enumerate(members.values()):
        first = rows[0]
        prompt = reader.read(first.prompt, first.prompt_ids)
        answer = prompt.known.answer if prompt.known else first.answer
        if not answer and first.answer_ids is not None:
            answer = codec.decode(first.answer_ids)
        group = _Group(f"{form}-{first.step}-{number:05d}", prompt, answer, [(_tokens(d, codec), d) for d in rows])
        groups.append(group)
        _check(group, usual, codec, prompts, findings)
    return groups


def _check(group: _Group, usual: int, codec: TextCodec, prompts: set[tuple[int, ...]], findings: Findings) -> None:
    place = group.rollouts[0][1].place
    if len(group.rollouts) != usual:
        findings.warn(f"a group that has not {usual} rollouts, as most have", place)
    if (tokens := tuple(group.prompt.token_ids)) in prompts:
        findings.warn("a prompt that an earlier group has too: two problems", place)
    prompts.add(tokens)
    if not group.answer:
        findings.warn("no reference answer: give the problems with --data", place)
    if not group.prompt.exact:
        findings.warn("a prompt that no template of the task or the model gives: tokenised as it stands", place)
    for ids, dumped in group.rollouts:
        if dumped.response is not None and codec.decode(ids) != _expected(dumped, codec):
            findings.warn("token ids that do not decode to the dumped text", dumped.place)
        if dumped.reward is None:
            findings.warn("no reward: its return is missing", dumped.place)


def _tokens(dumped: Dumped, codec: TextCodec) -> list[int]:
    return dumped.response_ids if dumped.response_ids is not None else codec.encode(dumped.response or "")


def _expected(dumped: Dumped, codec: TextCodec) -> str | None:
    """What the tokens should decode to. A dumped text next to token ids may contain special tokens."""
    text = dumped.response or ""
    return text if dumped.response_ids is None else codec.decode(codec.encode(text))


def _retokenised(groups: Sequence[_Group], findings: Findings) -> None:
    for group in groups:
        for _, dumped in group.rollouts:
            if dumped.response_ids is None:
                findings.warn("a response without token ids: its text was tokenised again", dumped.place)


def _problem_rows(groups: Sequence[_Group]) -> Iterator[dict[str, Any]]:
    for group in groups:
        known = group.prompt.known
        yield {
            "problem_id": group.problem_id, "split": "test", "question": group.prompt.question, "answer": group.answer,
            "prompt_token_ids": group.prompt.token_ids, "tier": known.tier if known else None,
            "extras": json.dumps(known.extras if known else {}, sort_keys=True),
        }  # fmt: skip


def _rollout_rows(groups: Sequence[_Group], task: Task, codec: TextCodec) -> Iterator[dict[str, Any]]:
    for group in groups:
        for place, (tokens, dumped) in enumerate(group.rollouts):
            yield {
                "rollout_id": f"{group.problem_id}/c{place:02d}", "problem_id": group.problem_id, "role": "context",
                "token_ids": tokens, "text": codec.decode(tokens), "return_": dumped.reward,
                "finish_reason": dumped.finish_reason, "step_ends": task.step_ends(codec.pieces(tokens)), "seed": None,
            }  # fmt: skip
