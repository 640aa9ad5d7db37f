"""Faults of a suite or a submission, collected so that they are shown together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sveb.common.errors import SvebError


@dataclass(frozen=True)
class Fault:
    """One fault: the file it is in, the place within it, what is wrong and how to fix it.

    A warning does not make the file invalid.
    """

    file: str
    place: str
    wrong: str
    fix: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.file}{', ' if self.place else ''}{self.place}: {self.wrong}; {self.fix}"


@dataclass
class FaultList:
    """Collects faults of one file; call it with place, what is wrong and the fix."""

    file: str
    faults: list[Fault] = field(default_factory=list)

    def __call__(self, place: str, wrong: str, fix: str) -> None:
        self.faults.append(Fault(self.file, place, wrong, fix))

    def warn(self, place: str, wrong: str, fix: str) -> None:
        self.faults.append(Fault(self.file, place, wrong, fix, "warning"))


def refuse(what: str, faults: Iterable[Fault]) -> SvebError:
    """One error that lists every fault, one per line, sorted by file."""
    lines = [str(fault) for fault in sorted(faults, key=lambda fault: fault.file)]
    head = f"{what}: {len(lines)} fault{'' if len(lines) == 1 else 's'}"
    return SvebError("\n".join([head, *(f"  {line}" for line in lines)]))
