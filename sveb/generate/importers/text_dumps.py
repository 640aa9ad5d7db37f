"""Rollout dumps of texts, without token ids: verl, TRL, the HiSTA authors' extra rollouts, and plain rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import read_json
from sveb.generate.importers.dumped import FINISH, Dumped, read_prompt, read_response
from sveb.generate.importers.findings import Findings, Row, answer_text
from sveb.generate.importers.hista_prompts import prompt_messages

# --- verl: <rollout_data_dir>/<step>.jsonl


def verl_files(folder: Path) -> list[Path]:
    return sorted((p for p in folder.rglob("*.jsonl") if p.stem.isdigit()), key=lambda p: (int(p.stem), p))


def verl(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del path, findings
    return Dumped(
        place=row.place,
        step=row.whole("step"),
        group=str(row.get("uid")) if row.has("uid") else None,
        sample=str(row.get("request_id")) if row.has("request_id") else None,
        prompt=row.text("input"),
        response=row.text("output"),
        reward=row.number(reward or "score"),
        answer=answer_text(row.get("gts")),
    )


# --- TRL: <output_dir>/completions/completions_<step>.parquet

_TRL_OWN = ("step", "prompt", "completion", "advantage")


def trl(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del findings
    numbers = [k for k, v in row.values.items() if k not in _TRL_OWN and (v is None or isinstance(v, int | float))]
    if not reward and len(numbers) != 1:
        raise SvebError(
            f"{path}: expected one reward column, found {', '.join(numbers) or 'none'}: name one with --reward NAME"
        )
    return Dumped(
        place=row.place,
        step=row.whole("step"),
        prompt=read_prompt(row, "prompt"),
        response=read_response(row, "completion"),
        reward=row.number(reward or numbers[0]),
        answer=answer_text(row.get("answer")),
    )


# --- the HiSTA authors' extra_rollouts.tar.gz: <dataset>/<model size>/sampled/sample_20.json, one problem a record


def hista_rows(path: Path, findings: Findings) -> Iterator[Row]:
    """One row for each response of each record."""
    del findings
    records = read_json(path, "the authors' extra rollouts")
    if not isinstance(records, list):
        raise SvebError(f"{path} contains a {type(records).__name__}: expected a list of problems")
    for number, values in enumerate(records, start=1):
        record = Row(f"{path.name}, record {number}", values if isinstance(values, dict) else {})
        for key, reward in (("correct_responses", 1.0), ("wrong_responses", 0.0)):
            for place, response in enumerate(record.list(key), start=1):
                yield Row(f"{record.place}, {key} {place}", {**record.values, "response": response, "reward": reward})


def hista(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    """The prompt is the release's, which its data does not contain. There are no training steps: all is step 0."""
    del path, findings
    verifier = row.text("verifier") if row.has("verifier") else None
    return Dumped(
        place=row.place,
        step=0,
        group=str(row.get("id")) if row.has("id") else None,
        prompt=prompt_messages(row.text("problem"), verifier, None),
        response=row.text("response"),
        reward=row.number(reward or "reward"),
        answer=answer_text(row.get("solution")),
    )


# --- jsonl: any trainer, in plain keys


def plain(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del path, findings
    exact = row.has("prompt_ids") and row.has("response_ids")
    return Dumped(
        place=row.place,
        step=row.whole("step") if row.has("step") else 0,
        group=str(row.get("group")) if row.has("group") else None,
        sample=str(row.get("sample")) if row.has("sample") else None,
        prompt=None if exact and not row.has("prompt") else read_prompt(row, "prompt"),
        prompt_ids=row.tokens("prompt_ids") if exact else None,
        response=None if exact and not row.has("response") else row.text("response"),
        response_ids=row.tokens("response_ids") if exact else None,
        reward=row.number(reward or "reward"),
        answer=answer_text(row.get("answer")),
        finish_reason=FINISH.get(row.get("finish_reason")),
    )
