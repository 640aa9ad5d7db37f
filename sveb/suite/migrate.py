"""Reads files that an older sveb has written: one table of migrations per published format.

The rule: a published format changes only together with a new schema version and a migration from the version before.

To change a format, append one function to its table below. The function takes the content of a file of the last version
and returns the content of a file of the new version; it changes neither its argument nor any file. The version of a
format is the length of its table plus one, so no version number has to be edited. docs/suite-format.md shows how.

Files are migrated in memory when they are read, and never rewritten: their checksums do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sveb.common.errors import SvebError

Raw = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """A published format. The n-th of `migrations` leads from version n to version n + 1.

    what: what its files are called in messages. unversioned: files without a version have version 1.
    """

    what: str
    migrations: tuple[Callable[[Raw], Raw], ...] = ()
    unversioned: bool = False

    @property
    def version(self) -> int:
        """The schema version that this sveb writes, and the newest that it reads."""
        return len(self.migrations) + 1

    def current(self, raw: Any, where: object) -> Raw:
        """The content of the file at `where`, in the newest version of the format, without its `schema_version`.

        Raises SvebError if the file is not of this format, or was made by a newer sveb.
        """
        if not isinstance(raw, dict) or ("schema_version" not in raw and not self.unversioned):
            raise SvebError(f"{where} is not {self.what}: it has no schema_version")
        held = {key: value for key, value in raw.items() if key != "schema_version"}
        found = raw.get("schema_version", 1)
        shown = str(found)[:20]
        if type(found) is not int or found < 1:
            raise SvebError(
                f"{where} is not {self.what}: expected a schema_version from 1 to {self.version}, found {shown!r}"
            )
        if found > self.version:
            raise SvebError(
                f"{where} has schema version {shown}, this sveb reads versions up to {self.version}: it was "
                "made by a newer sveb; update this one (`pip install --upgrade sveb`)"
            )
        try:
            for migrate in self.migrations[found - 1 :]:
                held = migrate(held)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SvebError(
                f"{where} is not {self.what} of schema version {shown}: a key is missing or has the wrong type "
                f"({type(error).__name__} at {error})"
            ) from None
        return held


def _name_the_grader(manifest: Raw) -> Raw:
    """Version 2 names the grader: `task.grader` {name, version}. Grader version 0: before graders had versions."""
    task = {"grader": {"name": None, "version": 0}} | manifest["task"]
    return manifest | {"task": task}


_NOT_SCORED = "this file was written by an older sveb, which did not compute it: score the run again"
_OTHER_PAIRS = (
    "this file was written by an older sveb, which also counted steps that do not follow each other: score it again"
)
NEW_IN_RESULTS_2 = (
    "skill_32", "adv_corr", "adv_corr_ceiling", "adv_r2", "adv_slope", "adv_corr_siblings", "adv_corr_siblings_ceiling",
    "adv_r2_siblings", "adv_slope_siblings", "gae_mse", "explained_variance", "explained_variance_group",
    "explained_variance_ceiling", "grad_ev", "grad_ev_ceiling",
)  # fmt: skip


def _score_steps(results: Raw) -> Raw:
    """Version 2: metrics of single steps, `perfect`; order_steps over consecutive steps alone; no return_ev."""
    kept = {name: figure for name, figure in results["metrics"].items() if name != "return_ev"}
    missing = dict.fromkeys(NEW_IN_RESULTS_2, _NOT_SCORED) | dict.fromkeys(
        (name for name in kept if name.startswith("order_steps")), _OTHER_PAIRS
    )
    nothing = {"value": None, "low": None, "high": None}
    return results | {
        "metrics": kept | {name: nothing | {"note": note} for name, note in missing.items()},
        "perfect": {},
    }


def _count_the_audit_pool(manifest: Raw) -> Raw:
    """Version 3 counts the audit pool: `counts.audit`, 0 before. New are audit.parquet and two columns of states."""
    return manifest | {"counts": {"audit": 0} | manifest["counts"]}


def _of_one_seed(held: Raw) -> Raw:
    """The next version adds runs with several seeds. A file of one seed did not change, and is written as before."""
    return held


MANIFEST = Format("a suite's manifest", (_name_the_grader, _count_the_audit_pool))
PRIVATE = Format("the private part of a suite")
PREDICTIONS = Format("the metadata of a predictions file", (_of_one_seed,), unversioned=True)
RESULTS = Format("a results file", (_score_steps, _of_one_seed))
METADATA = Format("the metadata of an entry", unversioned=True)
VERIFICATIONS = Format("a record of verifications")
