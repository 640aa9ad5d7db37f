"""A task's problems: generated, from the hub, or from a local file, with every row checked."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.core.errors import SvebError
from sveb.core.files import sha256
from sveb.core.records import ProblemRecord
from sveb.core.seeds import rng
from sveb.tasks.folders import load_code
from sveb.tasks.grading import gold_fault
from sveb.tasks.task import Task

# A generated task has no end of problems: as many candidates stand behind each one that is wanted.
_SPARE = 50
_FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


@dataclass(frozen=True)
class ProblemSet:
    """Disjoint training and test problems. `dataset` says where they came from, to the byte or commit."""

    train: list[ProblemRecord]
    test: list[ProblemRecord]
    dataset: dict[str, Any]


def load_problems(
    task: Task, n_train: int, n_test: int, seed: int, data: Path | None = None, *, spare: bool = False
) -> ProblemSet:
    """`n_train` and `n_test` problems of `task`, chosen by `seed`.

    With `data` (jsonl, json, parquet or csv in the task's own columns) both come from that file; else a generated
    task generates them and another loads its splits from the hub. With `spare` all further problems follow the test
    problems, from which a caller may choose.
    """
    if data is None and task.source["kind"] == "generated":
        generate = load_code(task.name).problems
        n_drawn = n_test * _SPARE if spare else n_test
        return ProblemSet(
            generate("train", n_train, seed), generate("test", n_drawn, seed), {"kind": "generated", "seed": seed}
        )
    if data is not None:
        rows, dataset = _read_file(data), {"kind": "file", "name": data.name, "sha256": sha256(data)}
        pool = _records(task, rows, "", str(data))
        chosen = _choose(pool, n_train + n_test, seed, str(data))
        train, rest = chosen[n_test : n_test + n_train], chosen[n_test + n_train :]
        return ProblemSet(train, chosen[:n_test] + (rest if spare else []), dataset)
    splits: Mapping[str, str] = task.source["splits"]
    found: dict[str, list[ProblemRecord]] = {}
    commit = _hub_commit(task)
    for split, wanted in (("train", n_train), ("test", n_test)):
        place = f"{task.source['hub']} ({splits[split]})"
        rows = _read_hub(task, splits[split], commit)
        chosen = _choose(_records(task, rows, f"-{split}", place), wanted, seed, place)
        found[split] = chosen if spare and split == "test" else chosen[:wanted]
    return ProblemSet(found["train"], found["test"], {"kind": "hub", "hub": task.source["hub"], "commit": commit})


def _read_file(path: Path) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        raise SvebError(f"--data {path}: no such file")
    if path.suffix not in _FORMATS:
        raise SvebError(f"--data {path}: expected a file ending in {', '.join(_FORMATS)}")
    if path.stat().st_size == 0:
        raise SvebError(f"--data {path}: the file is empty")
    import datasets

    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(_FORMATS[path.suffix], data_files=str(path), split="train")  # type: ignore[no-any-return]
    except Exception as error:  # the builder wraps its parser's errors in its own
        cause = str(error.__cause__ or error).splitlines()[0]
        raise SvebError(f"--data {path} cannot be read as {_FORMATS[path.suffix]}: {cause}") from None


def _hub_commit(task: Task) -> str:
    """The commit that the task's revision names now: what is loaded is what is recorded."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(task.source["hub"], revision=task.source["revision"]).sha)
    except Exception as error:  # the hub's client raises its transport's own errors
        raise _unreachable(task, error) from None


def _read_hub(task: Task, split: str, commit: str) -> Iterable[dict[str, Any]]:
    import datasets

    try:
        return datasets.load_dataset(  # type: ignore[no-any-return]
            task.source["hub"], task.source.get("config"), split=split, revision=commit
        )
    except Exception as error:  # the hub's client raises its transport's own errors
        raise _unreachable(task, error) from None


def _unreachable(task: Task, error: Exception) -> SvebError:
    return SvebError(
        f"could not load {task.source['hub']!r} from the Hugging Face hub ({type(error).__name__}): check the network "
        f"or HF_ENDPOINT, or pass the problems as a file with --data FILE (columns: {_columns(task)})"
    )


def _columns(task: Task) -> str:
    return ", ".join(task.source["columns"].values())


def _records(task: Task, rows: Iterable[dict[str, Any]], suffix: str, place: str) -> list[ProblemRecord]:
    """Rows of the upstream's schema as problems; every faulty row is named, up to ten."""
    columns: Mapping[str, str] = task.source["columns"]
    pattern = re.compile(task.source["answer_pattern"], re.DOTALL) if "answer_pattern" in task.source else None
    records: list[ProblemRecord] = []
    faults: list[str] = []
    for index, row in enumerate(rows):
        absent = [name for key, name in columns.items() if key != "id" and not str(row.get(name) or "").strip()]
        if absent:
            faults.append(f"row {index}: no {' and no '.join(absent)} (found columns: {', '.join(row)})")
            continue
        answer = str(row[columns["answer"]]).strip()
        if pattern and (match := pattern.search(answer)):
            answer = match.group(1).strip()
        identifier = row.get(columns.get("id", "")) or f"{task.name}{suffix}-{index}"
        record = ProblemRecord(str(identifier), str(row[columns["question"]]).strip(), answer)
        if fault := gold_fault(task, record):
            faults.append(f"row {index}: the task's own grader does not accept its answer {answer!r}: {fault}")
            continue
        records.append(record)
    twice = [name for name, count in Counter(r.problem_id for r in records).items() if count > 1]
    faults += [f"id {name!r} stands more than once" for name in twice]
    if faults:
        more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise SvebError(f"{place}: {'; '.join(faults[:10])}{more}")
    return records


def _choose(pool: list[ProblemRecord], n: int, seed: int, place: str) -> list[ProblemRecord]:
    """The pool in the seed's order; SvebError if it holds fewer than `n`."""
    if len(pool) < n:
        raise SvebError(f"{place} holds {len(pool)} problems, {n} were asked for: ask for fewer or pass more data")
    # Ordered by a keyed hash of the id: the choice depends neither on the file's order nor on the other rows.
    key = rng(seed, "problems").bytes(16)
    return sorted(pool, key=lambda r: hashlib.blake2b(r.problem_id.encode(), key=key).digest())
