"""metadata.toml: who made an entry, how, and what they disclose.

    name = "numca-backoff"              lower case; unique; part of the folder's name and of the page's address
    title = "Numca (backoff)"
    team = "..."                        or authors = ["...", "..."], or both
    method = "One or two sentences."
    links = ["https://..."]             optional
    licence = "Apache-2.0"
    date = 2026-01-31
    suites = ["ledger-nano@1.0.0"]      name@version of each file under results/
    training_data_disclosure = "yes"    yes | no | unknown
    hardware = "2 CPU cores"

    [estimator]
    spec = "numca"                      a built-in's name, or estimator.py, or estimator.py:ClassName
    [estimator.params]
    variant = "backoff"

metadata.schema.json next to this module is its published JSON Schema. This module checks what a schema cannot express.
All text in the file is untrusted, so pages escape it.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tomli_w

from sveb.common.errors import SvebError
from sveb.common.faults import FaultList
from sveb.common.files import write_text
from sveb.common.text import shortened
from sveb.suite.migrate import METADATA

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_RULE = "use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
_DEEPEST = 32


@dataclass(frozen=True)
class Metadata:
    """What an entry says about itself. `params` contains no None, because TOML has none: leave the key out instead."""

    name: str
    title: str
    method: str
    licence: str
    date: datetime.date
    hardware: str
    spec: str
    suites: list[str]
    team: str | None = None
    authors: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    training_data_disclosure: str = "unknown"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def by(self) -> str:
        """The team, else the authors."""
        return self.team or ", ".join(self.authors)

    def write(self, path: Path) -> None:
        """Writes metadata.toml."""
        raw: dict[str, Any] = {"name": self.name, "title": self.title}
        if self.team is not None:
            raw["team"] = self.team
        if self.authors:
            raw["authors"] = self.authors
        raw |= {"method": self.method, "links": self.links, "licence": self.licence, "date": self.date}
        raw["suites"] = self.suites
        raw |= {"training_data_disclosure": self.training_data_disclosure, "hardware": self.hardware}
        raw["estimator"] = {"spec": self.spec, "params": self.params}
        write_text(path, tomli_w.dumps(raw))


def read_metadata(path: Path, report: FaultList) -> Metadata | None:
    """The parsed file. If it has faults, all of them go to `report` and the result is None."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        report("", "is missing", "make the entry with `sveb submit`")
        return None
    except (ValueError, RecursionError) as error:  # syntax, text encoding, numbers with too many digits
        report("", f"is not valid TOML ({error})", "fix the syntax there")
        return None
    if is_deep(raw):
        report("", f"nests more than {_DEEPEST} tables or lists", "keep it flat")
        return None
    try:
        raw = METADATA.current(raw, path.name)
    except SvebError as error:
        report("schema_version", str(error), "leave the key out: it is for later versions")
        return None

    before = len(report.faults)
    found = dict.fromkeys(fault for error in validator().iter_errors(_plain(raw)) for fault in _explained(error))
    for place, wrong, fix in sorted(found):
        report(place, wrong, fix)
    _check_beyond_schema(raw, {place for place, _, _ in found}, report)
    if len(report.faults) > before:
        return None
    estimator = raw.pop("estimator")
    return Metadata(**raw, spec=estimator["spec"], params=estimator.get("params", {}))


@lru_cache(maxsize=1)
def validator() -> Draft202012Validator:
    """Checks parsed metadata, with its date as text, against the published schema."""
    from jsonschema import Draft202012Validator

    schema = resources.files("sveb.entries") / "metadata.schema.json"
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def is_deep(value: object) -> bool:
    """Whether tables and lists nest deeper than in any honest file. A recursive reader of them would crash."""
    level: list[object] = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _plain(value: Any) -> Any:
    """The value in JSON's types, which are all that a schema knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


_KINDS = {"string": "text", "array": "a list", "object": "a table"}


def _explained(error: ValidationError) -> list[tuple[str, str, str]]:
    """Explains a schema error: place, what is wrong, the fix."""
    path, found = list(error.absolute_path), error.instance
    place = _place(path)
    fix = str(error.schema.get("description", ""))
    if error.validator == "anyOf":
        return [("team", "neither team nor authors is given", 'add team = "..." or authors = ["..."]')]
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        return [
            (_place([*path, repr(key)]), "is not a known key", f"did you mean {close[0]!r}?" if close else "remove it")
            for key in sorted(set(found) - set(known))
            for close in [difflib.get_close_matches(key, known, n=1)]
        ]
    if error.validator == "required":
        absent = [key for key in error.validator_value if key not in found]
        if path:
            return [(place, f"has no {key}", fix) for key in absent]
        about = error.schema["properties"]
        return [
            (key, "is missing", f'add {key} = "..."' if "$ref" in about[key] else about[key]["description"])
            for key in absent
        ]
    if path == ["name"]:
        return [(place, f"{_shown(found)} is not a name", fix)]
    if path == ["date"]:
        return [(place, f"is {_shown(found)}, not a date", fix)]
    if error.validator == "type":
        return [(place, f"is {_shown(found)}, not {_KINDS[error.validator_value]}", fix)]
    if isinstance(found, str) and not found.strip():
        return [(place, "is empty", fix)]
    if error.validator == "maxLength":
        return [(place, f"has a length of {len(found)} characters", fix)]
    return [(place, f"is {_shown(found)}", fix)]


def _place(path: list[Any]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _check_beyond_schema(raw: dict[str, Any], reported: set[str], report: FaultList) -> None:
    for place, text in _texts(raw):
        if place not in reported and isinstance(text, str) and text.strip() and (fault := text_fault(text)):
            report(place, fault, "write plain text there")
    links = raw.get("links")
    for index, link in enumerate(links if isinstance(links, list) else []):
        if isinstance(link, str) and f"links[{index}]" not in reported and not _is_web_link(link):
            report(f"links[{index}]", f"{_shown(link)} is not a web address", "give a full http:// or https:// address")
    date = raw.get("date")
    if "date" not in reported and (not isinstance(date, datetime.date) or isinstance(date, datetime.datetime)):
        report("date", f"is {_shown(date)}, not a date", "write date = YYYY-MM-DD, without quotes")


def _texts(raw: dict[str, Any]) -> list[tuple[str, object]]:
    """Every text except the estimator's parameters: the results contain those too, and they are checked there."""
    found: list[tuple[str, object]] = []
    for key, value in raw.items():
        if isinstance(value, list):
            found += [(f"{key}[{place}]", item) for place, item in enumerate(value)]
        elif key != "estimator":
            found.append((key, value))
        elif isinstance(value, dict):
            found.append(("estimator.spec", value.get("spec")))
    return found


def text_fault(value: object) -> str | None:
    """Why `value` cannot be shown as text, or None. Newline and tab are the only control characters allowed."""
    if not isinstance(value, str):
        return f"is {_shown(value)}, not text"
    if not value.strip():
        return "is empty"
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            return f"contains the control character U+{ord(character):04X}"
    return None


def _is_web_link(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"\s", link)


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return shortened(text)
