"""Loads and checks a task's problems: generated, from the hub, from a local file or from the task's sample."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.common.seeds import rng
from sveb.common.text import shortened
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import gold_fault
from sveb.tasks.rows import Rows, file_table, hub_commit, hub_table, ten_at_most
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code

# Candidates per test problem, if the caller chooses among them.
_SPARE = 50


@dataclass(frozen=True)
class ProblemSet:
    """Disjoint training and test problems. `dataset` identifies their source by checksum or commit."""

    train: list[ProblemRecord]
    test: list[ProblemRecord]
    dataset: dict[str, Any]


def load_problems(
    task: Task, n_train: int, n_test: int, seed: int, data: Path | None = None, *, spare: bool = False
) -> ProblemSet:
    """`n_train` and `n_test` problems of `task`, chosen by `seed`.

    With `data` (jsonl, json, parquet or csv in the task's own columns) both come from that file. Without it, a
    generated task generates them, and any other task loads its splits from the hub. With `spare`, up to 50 times as
    many further problems follow the test problems, so that the caller can choose among them.
    """
    most = n_test * _SPARE if spare else n_test
    if data is None and task.source["kind"] == "generated":
        generate = load_code(task.name).problems
        return ProblemSet(
            generate("train", n_train, seed), generate("test", most, seed), {"kind": "generated", "seed": seed}
        )
    tables, dataset = open_rows(task, data)
    if len(tables) == 1:
        rows = next(iter(tables.values()))
        asked = {"test": n_test, "train": n_train}
        chosen = _draw(rows, asked, most + n_train, seed)
        test = chosen[:n_test] + chosen[n_test + n_train :]
        found = {"train": chosen[n_test : n_test + n_train], "test": test}
    else:
        found = {
            "train": _draw(tables["train"], {"train": n_train}, n_train, seed),
            "test": _draw(tables["test"], {"test": n_test}, most, seed),
        }
    left_out = {
        reason: count
        for reason in ("filtered", "example", "repeated", "unusable")
        if (count := sum(rows.left_out[reason] for rows in tables.values()))
    }
    return ProblemSet(found["train"], found["test"], {**dataset, **({"left_out": left_out} if left_out else {})})


def data_file(task: Task, data: Path | None, sample: bool) -> Path | None:
    """The file that `--data` or `--sample` names; None: the task's own source."""
    if sample and data is not None:
        raise SvebError("--data and --sample are two different sources: give only one of them")
    return task.sample if sample else data


def open_rows(task: Task, data: Path | None) -> tuple[dict[str, Rows], dict[str, Any]]:
    """The tables that hold a task's problems, by split, and what identifies them.

    If training and test problems come from the same rows, there is one table, named "all".
    """
    if data is not None:
        kind = "sample" if data == task.sample else "file"
        rows = Rows(task, file_table(data), str(data))
        return {"all": rows}, {"kind": kind, "name": data.name, "sha256": sha256(data)}
    hub, splits = task.source["hub"], task.source["splits"]
    commit = hub_commit(task)
    names: Mapping[str, str] = {"all": splits["test"]} if splits["train"] == splits["test"] else splits
    tables = {
        name: Rows(task, hub_table(task, split, commit), f"{hub} ({split})", f"{task.name}-{split}-")
        for name, split in names.items()
    }
    return tables, {"kind": "hub", "hub": hub, "commit": commit}


def _draw(rows: Rows, asked: Mapping[str, int], most: int, seed: int) -> list[ProblemRecord]:
    """At most `most` problems in the seed's order; SvebError if there are fewer than `asked` for."""
    # Sorted by a keyed hash of the id: the choice depends neither on the order of the file nor on the other rows.
    key = rng(seed, "problems").bytes(16)
    skip = rows.task.skips_unusable
    found: list[ProblemRecord] = []
    faults: list[tuple[int, str]] = []
    for row, name in sorted(rows.listed(), key=lambda pair: hashlib.blake2b(pair[1].encode(), key=key).digest()):
        if skip and len(found) == most:
            break
        problem = rows.problem(row, name)
        if fault := problem_fault(rows.task, problem):
            faults.append((row, fault))
        else:
            found.append(problem)
    if faults and not skip:
        raise SvebError(f"{rows.place}: {ten_at_most([f'row {row}: {fault}' for row, fault in sorted(faults)])}")
    rows.left_out["unusable"] += len(faults)
    if len(found) < sum(asked.values()):
        raise _too_few(rows, len(found), asked, faults)
    return found[:most]


def problem_fault(task: Task, problem: ProblemRecord) -> str | None:
    """Why this problem cannot be used, or None."""
    absent = [what for what in ("question", "answer") if not getattr(problem, what)]
    if absent:
        return f"no {' and no '.join(absent)}"
    if fault := gold_fault(task, problem):
        return f"the task's own grader does not accept its answer {_short(problem.answer)}: {fault}"
    return None


def _too_few(rows: Rows, n: int, asked: Mapping[str, int], faults: list[tuple[int, str]]) -> SvebError:
    wanted = sum(asked.values())
    left_out = ", ".join(f"{count} {reason}" for reason, count in rows.left_out.items() if count)
    found = f"{rows.place} contains {n} problems" + (f" ({left_out})" if left_out else "")
    if faults:
        found += f", unusable for example row {faults[0][0]}: {faults[0][1]}"
    if n < len(asked):
        return SvebError(f"{found}; {wanted} were asked for: give other data")
    fits = {"test": min(asked["test"], max(1, n * asked["test"] // wanted))} if "test" in asked else {}
    if "train" in asked:
        fits["train"] = min(asked["train"], n - fits.get("test", 0))
    flags = " ".join(f"--{split}-problems {count}" for split, count in fits.items())
    return SvebError(f"{found}; {wanted} were asked for: use {flags}")


def _short(text: str) -> str:
    return repr(shortened(text, 60))
