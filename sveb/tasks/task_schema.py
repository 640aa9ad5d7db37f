"""The keys of a task.toml: which keys exist, which are required, what type they have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from sveb.common.errors import SvebError, unknown_name
from sveb.tasks.graders import EXTRACTORS, GRADERS
from sveb.tasks.splitters import find_splitter

_NUMBER = (int, float)
_COLUMNS = ("id", "question", "answer", "tier")
# Key: (type, whether it is required).
_TOP: dict[str, tuple[Any, bool]] = dict.fromkeys(("name", "title", "description", "field", "licence"), (str, True))
_TABLES: dict[str, dict[str, tuple[Any, bool]]] = {
    "source": {
        "kind": (str, True), "hub": (str, False), "config": ((str, list), False), "revision": (str, False),
        "splits": (dict, False), "columns": (dict, False), "extras": (dict, False), "keep": (dict, False),
        "question_pattern": (str, False), "answer_pattern": (str, False), "distinct_numbers": (int, False),
        "unusable": (str, False),
    },
    "prompt": {
        "system": (str, False), "user": (str, True), "examples": (list, False), "chat_template_kwargs": (dict, False),
    },
    "steps": {"splitter": (str, True), "min_tokens": (int, True), "max_tokens": (int, True)},
    "answer": {
        "grader": (str, True), "extract": (str, True), "marker": (str, False), "truncated": ((str, *_NUMBER), False),
        "test_seconds": (int, False), "max_tests": (int, False), "tolerance": (_NUMBER, False),
    },
    "sampling": {"temperature": (_NUMBER, True), "top_p": (_NUMBER, True), "max_new_tokens": (int, True)},
}  # fmt: skip
_FIELDS = ("number", "math", "science", "general", "program")
_HUB = ("hub", "revision", "splits", "columns")


def faults_of(raw: Mapping[str, Any], folder: str) -> list[str]:
    """Everything that is wrong with a task.toml, each with its key; `folder` is the name of its folder."""
    faults = _keys(raw, "", _TOP | dict.fromkeys(_TABLES, (dict, True)))
    for table, keys in _TABLES.items():
        if isinstance(raw.get(table), Mapping):
            faults += _keys(raw[table], f"{table}.", keys)
    return faults or [*_values(raw, folder), *_source(raw["source"])]


def _keys(found: Mapping[str, Any], place: str, known: Mapping[str, tuple[Any, bool]]) -> list[str]:
    faults = [f"{place}{key} is missing" for key, (_, needed) in known.items() if needed and key not in found]
    for key, value in found.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            faults.append(f"{place}{key} is not a known key" + (f": did you mean {close[0]}?" if close else ""))
        elif not isinstance(value, known[key][0]) or isinstance(value, bool):
            faults.append(f"{place}{key} is {value!r}: expected {_kind(known[key][0])}")
    return faults


def _kind(kind: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
    return " or ".join(dict.fromkeys(names[each] for each in (kind if isinstance(kind, tuple) else (kind,))))


def _values(raw: Mapping[str, Any], folder: str) -> list[str]:
    faults = []
    if raw["name"] != folder:
        faults.append(f"name is {raw['name']!r}: expected {folder!r}, the name of the folder")
    if "{question}" not in raw["prompt"]["user"]:
        faults.append("prompt.user does not contain {question}")
    faults += _examples(raw)
    for key in ("min_tokens", "max_tokens"):
        if raw["steps"][key] < 1:
            faults.append(f"steps.{key} is {raw['steps'][key]}: expected at least 1")
    try:
        find_splitter(raw["steps"]["splitter"])
    except SvebError as error:
        faults.append(f"steps.splitter: {error}")
    is_whole, has_marker = raw["answer"]["extract"] == "whole", "marker" in raw["answer"]
    if is_whole == has_marker:
        faults.append(
            'answer.marker: expected none with extract = "whole"' if has_marker else "answer.marker is missing"
        )
    truncated = raw["answer"].get("truncated", 0)
    if truncated != "grade" and (isinstance(truncated, str) or not 0 <= truncated <= 1):
        faults.append(f'answer.truncated is {truncated!r}: expected a return in [0, 1], or "grade"')
    tolerance = raw["answer"].get("tolerance", 0)
    if not 0 <= tolerance < 1:
        faults.append(f"answer.tolerance is {tolerance!r}: expected a number from 0 to less than 1, such as 1e-6")
    names: tuple[tuple[str, str, str, Collection[str]], ...] = (
        ("field", "field", raw["field"], _FIELDS),
        ("source.kind", "kind", raw["source"]["kind"], ("hub", "generated")),
        ("source.unusable", "rule", raw["source"].get("unusable", "refuse"), ("refuse", "skip")),
        ("answer.grader", "grader", raw["answer"]["grader"], GRADERS),
        ("answer.extract", "answer extractor", raw["answer"]["extract"], EXTRACTORS),
    )
    return faults + [
        f"{key}: {unknown_name(kind, name, known)}" for key, kind, name, known in names if name not in known
    ]


def _examples(raw: Mapping[str, Any]) -> list[str]:
    faults = []
    for number, example in enumerate(raw["prompt"].get("examples", ()), 1):
        place = f"prompt.examples, number {number}"
        texts = isinstance(example, Mapping) and all(
            isinstance(each, str) and each.strip() for each in example.values()
        )
        if not texts or example.keys() != {"question", "response"}:
            faults.append(f"{place}: expected a table with two texts, question and response")
        elif (find := EXTRACTORS.get(raw["answer"]["extract"])) and not find(example["response"], ""):
            faults.append(f"{place}: its response gives no answer that answer.extract finds")
    return faults


def _source(source: Mapping[str, Any]) -> list[str]:
    faults = []
    if source["kind"] == "hub":
        faults += [f"source.{key} is missing: a hub dataset needs it" for key in _HUB if key not in source]
        faults += [
            f"source.splits.{key} is missing" for key in ("train", "test") if key not in source.get("splits", {})
        ]
        columns = source.get("columns", {})
        faults += [f"source.columns.{key} is missing" for key in ("question", "answer") if key not in columns]
        faults += [
            f"source.columns.{key} is not a known key: expected {', '.join(_COLUMNS)}"
            for key in columns
            if key not in _COLUMNS
        ]
    patterns = {f"source.{key}": source[key] for key in ("question_pattern", "answer_pattern") if key in source}
    patterns |= {f"source.keep.{path}": pattern for path, pattern in source.get("keep", {}).items()}
    for key, pattern in patterns.items():
        try:
            groups = re.compile(pattern).groups
        except (re.error, TypeError) as error:
            faults.append(f"{key} is not a regular expression: {error}")
            continue
        if key.endswith("_pattern") and groups < 1:
            faults.append(f"{key} has no group: put ( and ) around the part that it should extract")
    return faults
