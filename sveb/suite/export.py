"""A suite's states and values as training data: prefix, soft label (the mean return) and its standard error.

parquet         one row for each state: tokens and text of prompt and prefix, value, se, n, returns
value-head      one line for each state: input_ids (prompt and prefix), the value at the last of them, se
prm             one line for each rollout: prompt, completions (its steps), labels (the value after each step), se, n
math-shepherd   one line for each rollout: input and label as texts with a marker after each step, + if a continuation
                was right; the prompt; labels, se and n as numbers
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.errors import SvebError, unknown_name
from sveb.common.files import write_atomic, write_text
from sveb.suite.suite import Suite

STEP_MARK = "ки"  # the step marker of Math-Shepherd


def export(suite: Suite, kind: str, out: Path) -> int:
    """Writes the suite's states that have a truth to `out`; returns how many rows. An existing file is an error."""
    if kind not in KINDS:
        raise unknown_name("format of an export", kind, KINDS)
    if out.exists():
        raise SvebError(f"{out} exists: choose another file with --out")
    rows = list(KINDS[kind](_states(suite)))
    if not rows:
        raise SvebError(f"{suite.path} has no states with a truth to export")
    if kind == "parquet":
        write_atomic(out, lambda temporary: pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd"))
    else:
        write_text(out, "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    return len(rows)


def _states(suite: Suite) -> pd.DataFrame:
    """States with prompt, question and truth, in stored order; `se` is None where a single return was graded."""
    truth = suite.table("truth", ["state_id", "return_", "value_mean", "value_se", "n_continuations"]).to_pandas()
    problems = suite.problems[["problem_id", "question", "prompt_token_ids"]].reset_index(drop=True)
    states = suite.states.reset_index(drop=True).merge(problems, on="problem_id").merge(truth, on="state_id")
    return states[states["value_mean"].notna()]


def _rows(states: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in states.to_dict("records")]


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    se = None if pd.isna(row["value_se"]) else float(row["value_se"])
    return {"value": float(row["value_mean"]), "se": se, "n": int(row["n_continuations"])}


def _returns(stored: Any) -> list[float | None] | None:
    """The single returns, None where one was not graded; None if only their mean is known."""
    return None if stored is None else [None if pd.isna(each) else float(each) for each in stored]


def _parquet(states: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in _rows(states):
        yield {
            **{key: row[key] for key in ("state_id", "problem_id", "kind", "question")},
            "prompt_token_ids": row["prompt_token_ids"].tolist(), "prefix_token_ids": row["token_ids"].tolist(),
            "prefix": row["text"], **_figures(row), "returns": _returns(row["return_"]),
        }  # fmt: skip


def _value_head(states: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in _rows(states):
        yield {"input_ids": [*row["prompt_token_ids"].tolist(), *row["token_ids"].tolist()], **_figures(row)}


def _prm(states: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for _, rollout in states[states["kind"] == "path"].groupby("rollout_id", sort=False):
        rows = _rows(rollout.sort_values("n_tokens"))
        ends = [0, *(len(row["text"]) for row in rows)]
        figures = [_figures(row) for row in rows]
        yield {
            "prompt": rows[0]["question"],
            "completions": [row["text"][start:] for row, start in zip(rows, ends, strict=False)],
            "labels": [each["value"] for each in figures],
            "se": [each["se"] for each in figures],
            "n": [each["n"] for each in figures],
        }


def _math_shepherd(states: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in _prm(states):
        marked = {
            name: f"{row['prompt']} "
            + "".join(f"{s} {mark}" for s, mark in zip(row["completions"], marks, strict=True))
            for name, marks in (
                ("input", [STEP_MARK] * len(row["labels"])),
                ("label", ["+" if value > 0 else "-" for value in row["labels"]]),
            )
        }
        yield {**marked, **{name: row[name] for name in ("prompt", "labels", "se", "n")}}


KINDS: dict[str, Callable[[pd.DataFrame], Iterator[dict[str, Any]]]] = {
    "parquet": _parquet, "value-head": _value_head, "prm": _prm, "math-shepherd": _math_shepherd,
}  # fmt: skip
