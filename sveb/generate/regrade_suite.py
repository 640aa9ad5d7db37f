"""The texts that a suite keeps, graded again by this version of the graders, as the suite's next version.

Rollouts and draws have their texts. Of the continuations of the truth and the audit pool only the returns are kept:
they stay as they are, and the new suite's notes say so. The task may be another version than the suite's: its answer
rules are those of today.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import disk_errors
from sveb.generate.refresh import next_version
from sveb.suite.assemble import assemble
from sveb.suite.suite import Suite
from sveb.suite.tables import table_of, write_table
from sveb.tasks.graders.judge_grader import JudgeEndpoint
from sveb.tasks.grading import Grading, grader_identity
from sveb.tasks.stored_responses import stored_problems
from sveb.tasks.task import Task

_AT_ONCE = 4096


@dataclass(frozen=True)
class Regraded:
    """What moved: by table and (old, new) return, how many; and how many continuations of the truth keep theirs."""

    moves: dict[str, Counter[tuple[float | None, float | None]]]
    kept: int

    @property
    def moved(self) -> int:
        """Returns that are others now."""
        return sum(count for table in self.moves.values() for (old, new), count in table.items() if old != new)


def regrade_suite(suite: Suite, out: Path, judge: JudgeEndpoint | None = None) -> Regraded:
    """Grades rollouts and draws again and writes the next version into `out`; `suite` itself is never changed.

    Raises SvebError, before anything is written, where the suite is split and where `out` is in use.
    """
    m = suite.manifest
    if m.private:
        raise SvebError(f"{suite.path} is the public part of a suite: regrade the whole one, and split that anew")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SvebError(f"--out {out} is not an empty folder: choose another")
    task = Task.of_suite(m.task)
    version = next_version(m.version)
    tables: dict[str, Any] = {name: suite.table(name) for name in ("rollouts", "states", "draws")}
    moves: dict[str, Counter[tuple[float | None, float | None]]] = {}
    with Grading(task, judge) as grading:
        for name, rows in (("rollouts", _rollouts(tables)), ("draws", _draws(tables, suite))):
            moves[name] = _grade(grading, stored_problems(suite), rows)
            tables[name] = table_of(name, [row for row, *_ in rows])
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in set(suite.tables) - {"rollouts", "draws"}:
            shutil.copyfile(suite.path / f"{name}.parquet", out / f"{name}.parquet")
    for name in ("rollouts", "draws"):
        write_table(out / f"{name}.parquet", tables[name])
    kept = int(m.statistics["continuations"])
    note = {
        "of": {"version": m.version, "checksum": suite.checksum},
        "task_fingerprint": task.fingerprint,
        "truth_kept": kept,
        "truth_grader": m.grader,
    }
    manifest = replace(
        m,
        version=version,
        task=m.task | {"grader": grader_identity(task)},
        notes=m.notes | {"regrade": note},
    )
    assemble(out, manifest, suite.licence)
    return Regraded(moves, kept)


# A row, its problem's id, the whole response, and why it ended.
_Rows = list[tuple[dict[str, Any], str, str, Any]]


def _rollouts(tables: dict[str, Any]) -> _Rows:
    return [(row, row["problem_id"], row["text"], row["finish_reason"]) for row in tables["rollouts"].to_pylist()]


def _draws(tables: dict[str, Any], suite: Suite) -> _Rows:
    """Draws do not keep why they ended: one that used up its budget is taken for a truncated one."""
    budget, protocol = suite.manifest.sampling["max_new_tokens"], suite.protocol
    states = {row["state_id"]: row for row in tables["states"].to_pylist()}
    rows = []
    for row in tables["draws"].to_pylist():
        state = states[row["state_id"]]
        left = protocol.continuation_budget(budget, len(state["token_ids"]))
        rows.append(
            (row, state["problem_id"], state["text"] + row["text"], "length" if row["n_tokens"] >= left else "stop")
        )
    return rows


def _grade(grading: Grading, problems: dict[str, Any], rows: _Rows) -> Counter[tuple[float | None, float | None]]:
    """Puts the new return into each row; counts (old, new)."""
    found: Counter[tuple[float | None, float | None]] = Counter()
    for start in range(0, len(rows), _AT_ONCE):
        chunk = rows[start : start + _AT_ONCE]
        grades = [grading.submit(problems[name], text, reason) for _, name, text, reason in chunk]
        for (row, *_), grade in zip(chunk, grades, strict=True):
            new = grade.result()
            found[row["return_"], new] += 1
            row["return_"] = new
    return found
