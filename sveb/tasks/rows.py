"""Rows of a dataset, read through a task's column mapping: from the hub or from a file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.text import first_few
from sveb.suite.records import ProblemRecord
from sveb.tasks.task import Task

_FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
# By the columns that a file has, if they are not the task's own. An id and a tier may be missing.
_PLAIN = {
    frozenset({"question", "answer"}): {"id": "id", "question": "question", "answer": "answer", "tier": "tier"},
    frozenset({"problem", "solution", "verifier"}): {
        "id": "id", "question": "problem", "answer": "solution", "tier": "verifier",
    },
}  # fmt: skip
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Rows:
    """One table with a task's column mapping. Rows are read only when needed: a table may be larger than memory.

    A path is the name of a column, or a place inside it: `prompt.0.content` is the entry "content" of the first element
    of "prompt". `place` names the table in errors. `left_out` counts the rows that `listed` left out, by reason.
    Raises SvebError if columns are missing or the table is empty.
    """

    def __init__(self, task: Task, table: Any, place: str, prefix: str = "") -> None:
        self.task, self.place = task, place
        self.left_out: Counter[str] = Counter()
        self._table, self._prefix = table, prefix
        found: list[str] = list(table.column_names)
        source = task.source
        self._columns: Mapping[str, str] = source.get("columns", {})
        self._extras: Mapping[str, str] = source.get("extras", {})
        self._keep = {path: re.compile(pattern, re.DOTALL) for path, pattern in source.get("keep", {}).items()}
        self._examples = {example["question"].strip() for example in task.examples}
        self._least_numbers = int(source.get("distinct_numbers", 0))
        needed = [path for key, path in self._columns.items() if key not in ("id", "tier")]
        if self._columns:
            needed += [*self._extras.values(), *self._keep]
        absent = [path for path in needed if _column(path, found) not in found]
        if absent or not self._columns:
            # A plain file, made for this task, or a file of the HiSTA authors' sveb_hybrid_data: both need no filter.
            plain = next((names for keys, names in _PLAIN.items() if keys <= set(found)), None)
            if plain is None:
                expected = ", ".join(dict.fromkeys(needed or ["question", "answer"]))
                if expected != "question, answer":
                    expected += " (or question, answer)"
                raise SvebError(f"{place}: expected the columns {expected}; found {', '.join(found) or 'none'}")
            self._columns = plain
            self._extras = {key: key for key in self._extras}
            self._keep, self._least_numbers = {}, 0
        if not len(table):
            raise SvebError(f"{place} contains no rows")
        self._found = found

    def __len__(self) -> int:
        return len(self._table)

    def listed(self) -> list[tuple[int, str]]:
        """(row, problem id) of every row that the task's filter keeps, in the table's order.

        A question that is one of the prompt's worked examples is left out: its answer is in the prompt.
        With `unusable = "skip"` a row that repeats an earlier question or id is left out. Otherwise a repeated id is an
        error.
        """
        skip = self.task.skips_unusable
        paths = [self._columns["question"], self._columns.get("id", ""), *self._keep]
        light = self._table.select_columns(sorted({_column(p, self._found) for p in paths} & set(self._found)))
        listed: list[tuple[int, str]] = []
        seen: dict[str, int] = {}
        twice: list[str] = []
        # In batches, which is four times as fast as row by row: a dataset may have millions of rows.
        batches = (zip(*batch.values(), strict=True) for batch in light.iter(1000))
        for index, values in enumerate(chain.from_iterable(batches)):
            row = dict(zip(light.column_names, values, strict=True))
            question = self._question(row)
            if not self._kept(row, question):
                self.left_out["filtered"] += 1
                continue
            if question in self._examples:
                self.left_out["example"] += 1
                continue
            name = _text(_at(row, self._columns.get("id", "")))
            problem_id = f"{self._prefix}{name}" if name else f"{self._prefix or self.task.name + '-'}{index}"
            repeated = (problem_id in seen) or (skip and f"?{question}" in seen)
            if repeated and skip:
                self.left_out["repeated"] += 1
                continue
            if repeated:
                twice.append(f"row {index}: id {problem_id!r} is also in row {seen[problem_id]}")
            seen[problem_id] = index
            if skip:
                seen[f"?{question}"] = index
            listed.append((index, problem_id))
        if twice:
            raise SvebError(f"{self.place}: {ten_at_most(twice)}")
        return listed

    def problem(self, row: int, problem_id: str) -> ProblemRecord:
        """The row as a problem; missing fields are empty text."""
        values: Mapping[str, Any] = self._table[row]
        answer = _part(_text(_at(values, self._columns["answer"])), self.task.source.get("answer_pattern"))
        tier = _text(_at(values, self._columns.get("tier", "")))
        return ProblemRecord(
            problem_id,
            self._question(values),
            answer,
            tier or None,
            {key: _at(values, path) for key, path in self._extras.items()},
        )

    def _question(self, row: Mapping[str, Any]) -> str:
        return _part(_text(_at(row, self._columns["question"])), self.task.source.get("question_pattern"))

    def _kept(self, row: Mapping[str, Any], question: str) -> bool:
        if self._least_numbers and len(set(_NUMBER.findall(question))) < self._least_numbers:
            return False
        return all(pattern.search(_text(_at(row, path))) for path, pattern in self._keep.items())


def file_table(path: Path) -> Any:
    """A jsonl, json, parquet or csv file, through `datasets`."""
    if not path.is_file():
        raise SvebError(f"--data {path}: no such file")
    if path.suffix not in _FORMATS:
        raise SvebError(f"--data {path}: expected a file ending in {', '.join(_FORMATS)}")
    if path.stat().st_size == 0:
        raise SvebError(f"--data {path}: the file is empty")
    import datasets

    datasets.disable_progress_bars()
    # It logs the error that it then raises.
    before = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        return datasets.load_dataset(_FORMATS[path.suffix], data_files=str(path), split="train")
    except Exception as error:  # the builder wraps the parser's errors in its own exception
        cause = str(error.__cause__ or error).splitlines()[0]
        if "corresponds to no data" in cause:
            raise SvebError(f"--data {path} contains no rows") from None
        raise SvebError(f"--data {path} cannot be read as {_FORMATS[path.suffix]}: {cause}") from None
    finally:
        datasets.logging.set_verbosity(before)


def hub_commit(task: Task) -> str:
    """The commit that the task's revision names now, so that the recorded commit is the loaded one."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(task.source["hub"], revision=task.source["revision"]).sha)
    except Exception as error:  # the hub's client raises its transport's own errors
        raise _unreachable(task, error) from None


def hub_table(task: Task, split: str, commit: str) -> Any:
    """One split of the task's hub dataset. Several configs are joined one after the other."""
    import datasets

    configs = task.source.get("config")
    try:
        return datasets.concatenate_datasets(
            [
                datasets.load_dataset(task.source["hub"], config, split=split, revision=commit)
                for config in (configs if isinstance(configs, list) else [configs])
            ]
        )
    except Exception as error:  # the hub's client raises its transport's own errors
        raise _unreachable(task, error) from None


def ten_at_most(faults: list[str]) -> str:
    """At most ten faults, and the number of the others."""
    return first_few(faults, 10, "; ")


def _unreachable(task: Task, error: Exception) -> SvebError:
    return SvebError(
        f"could not load {task.source['hub']!r} from the Hugging Face hub ({type(error).__name__}): check the network "
        "or HF_ENDPOINT, pass the problems as a file with --data FILE "
        f"(columns: {', '.join(task.source['columns'].values())}), or use the task's small sample with --sample"
    )


def _column(path: str, columns: list[str]) -> str:
    return path if path in columns else path.split(".")[0]


def _at(row: Mapping[str, Any], path: str) -> Any:
    """The value at `path`, None if there is none. A text on the way is parsed as JSON."""
    if path in row:
        return row[path]
    value: Any = row
    for key in path.split("."):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() and int(key) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:
            return None
    return value


def _text(value: Any) -> str:
    if value is None or value != value:  # tables represent a missing value as NaN
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip()


def _part(text: str, pattern: str | None) -> str:
    match = re.search(pattern, text, re.DOTALL) if pattern else None
    return match[1].strip() if match else text
