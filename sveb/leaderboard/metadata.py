"""metadata.toml: who made an entry, how, and what they disclose.

    name = "numca-backoff"              lower case; unique; part of the folder's name and of the page's address
    title = "Numca (backoff)"
    team = "..."                        or authors = ["...", "..."], or both
    method = "One or two sentences."
    links = ["https://..."]             optional
    licence = "Apache-2.0"
    date = 2026-01-31
    training_data_disclosure = "yes"    yes | no | unknown
    hardware = "2 CPU cores"

    [estimator]
    spec = "numca"                      a built-in's name, or estimator.py, or estimator.py:ClassName
    [estimator.params]
    variant = "backoff"

All text in it is a stranger's: it is checked here and escaped where it is shown.
"""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tomli_w

from sveb.core.faults import FaultList
from sveb.core.files import write_text

DISCLOSURES = ("yes", "no", "unknown")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_RULE = "use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
_TEXTS = ("title", "method", "licence", "hardware")
_KEYS = ("name", *_TEXTS, "team", "authors", "links", "date", "training_data_disclosure", "estimator")


@dataclass(frozen=True)
class Metadata:
    """What an entry says about itself. `params` holds no None: TOML has none, and an absent one is the default."""

    name: str
    title: str
    method: str
    licence: str
    date: datetime.date
    hardware: str
    spec: str
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
        raw |= {"training_data_disclosure": self.training_data_disclosure, "hardware": self.hardware}
        raw["estimator"] = {"spec": self.spec, "params": self.params}
        write_text(path, tomli_w.dumps(raw))


def read_metadata(path: Path, report: FaultList) -> Metadata | None:
    """The parsed file, or None after its faults went to `report`, all of them."""
    before = len(report.faults)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        report("", "is missing", "make the entry with `sveb submit`")
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        report("", f"is not valid TOML ({error})", "mend the syntax there")
        return None

    for key in sorted(set(raw) - set(_KEYS)):
        close = difflib.get_close_matches(key, _KEYS, n=1)
        report(repr(key), "is not a known key", f"did you mean {close[0]!r}?" if close else "remove it")
    texts = {key: _text(raw, key, report) for key in _TEXTS}
    name = raw.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        report("name", f"{_shown(name)} is no name", NAME_RULE)
    team = _text(raw, "team", report) if "team" in raw else None
    authors = _texts(raw, "authors", report)
    if "team" not in raw and not raw.get("authors"):
        report("team", "neither team nor authors is given", 'add team = "..." or authors = ["..."]')
    links = _texts(raw, "links", report)
    for link in links:
        if not _is_web_link(link):
            report("links", f"{_shown(link)} is no web address", "give a full http:// or https:// address")
    disclosure = raw.get("training_data_disclosure")
    if disclosure not in DISCLOSURES:
        report("training_data_disclosure", f"is {_shown(disclosure)}", f"choose one of {', '.join(DISCLOSURES)}")
    date = _date(raw.get("date"), report)
    spec, params = _estimator(raw.get("estimator"), report)
    if len(report.faults) > before or date is None:
        return None
    return Metadata(
        name=str(name),
        date=date,
        spec=spec,
        team=team,
        authors=authors,
        links=links,
        training_data_disclosure=str(disclosure),
        params=params,
        **texts,
    )


def text_fault(value: object) -> str | None:
    """Why `value` is no text that can be shown, or None. Control characters other than newline and tab are out."""
    if not isinstance(value, str):
        return f"is {_shown(value)}, not text"
    if not value.strip():
        return "is empty"
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            return f"holds the control character U+{ord(character):04X}"
    return None


def _text(raw: dict[str, Any], key: str, report: FaultList) -> str:
    if key not in raw:
        report(key, "is missing", f'add {key} = "..."')
        return ""
    if fault := text_fault(raw[key]):
        report(key, fault, "write plain text there")
    return str(raw[key])


def _texts(raw: dict[str, Any], key: str, report: FaultList) -> list[str]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        report(key, f"is {_shown(value)}, not a list", f'write {key} = ["...", "..."]')
        return []
    for place, item in enumerate(value):
        if fault := text_fault(item):
            report(f"{key}[{place}]", fault, "write plain text there")
    return [item for item in value if isinstance(item, str)]


def _date(value: object, report: FaultList) -> datetime.date | None:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    report("date", f"is {_shown(value)}, not a date", "write date = YYYY-MM-DD, without quotes")
    return None


def _estimator(value: object, report: FaultList) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, dict) or "spec" not in value:
        report("[estimator]", "has no spec", 'add a table [estimator] with spec = "..."')
        return "", {}
    if fault := text_fault(value["spec"]):
        report("[estimator] spec", fault, "name a built-in estimator, estimator.py or estimator.py:ClassName")
    params = value.get("params", {})
    if not isinstance(params, dict):
        report("[estimator.params]", "is not a table", "write one `key = value` a line under [estimator.params]")
        params = {}
    return str(value["spec"]), params


def _is_web_link(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"\s", link)


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
