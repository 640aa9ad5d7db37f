"""Suites as tables, and what a command prints when it has written one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from sveb.cli.console import out, table
from sveb.suite.manifest import Manifest
from sveb.suite.publish import Upload
from sveb.suite.suite import Suite, local_suites
from sveb.suite.tables import ADDED
from sveb.tasks.grading import grader_identity
from sveb.tasks.task import Task
from sveb.tasks.task_folders import task_names


def print_suite(folder: Path) -> None:
    """The suite's table, the next command, and whether grades are missing."""
    suite = Suite.open(folder)
    out.print(suite_table(suite))
    shown, first = escape(str(folder)), "group_mean" if suite.manifest.counts["group"] else "judge"
    out.print(f"[bold]suite:[/] {shown}   next: sveb eval {first} --suite {shown}")
    print_missing_grades(folder)


def print_missing_grades(folder: Path) -> None:
    """What to do if the work folder is still there: some continuations could not be graded."""
    work = folder / "work"
    if work.is_dir():
        out.print(
            "[yellow]Some grades are missing.[/] Run the same command again to retry them; to keep the suite as it is, "
            f"delete {escape(str(work))}"
        )


def suite_table(suite: Suite) -> Table:
    """Identity and statistics of one suite."""
    m, s = suite.manifest, suite.manifest.statistics
    made = table(f"{m.name} {m.version}", "figure", "value")
    rows = {
        "folder": suite.path,
        "task, policy": f"{m.task['name']}, {m.policy['name']} ({m.policy['engine']} {m.policy['engine_version']})",
        "protocol": m.protocol,
        "grader": _grader(m),
        **{f"  {name}": _note(note) for name, note in m.notes.items()},
        "sampling": ", ".join(f"{key} {value}" for key, value in m.sampling.items()),
        "states": ", ".join(f"{count} {kind}" for kind, count in s["states"].items()),
        "  one step apart": f"{_adjacent_pairs(suite)} pairs of path states",
        "  next steps": _next_steps(suite),
        "sibling groups": s["sibling_groups"],
        "truth": f"{s['continuations']} continuations, K = {m.counts['continuations']}, {s['missing_grades']} ungraded",
        **{f"  ungraded {stage}": _reasons(found) for stage, found in m.generation.get("missing", {}).items()},
        **({"  private": _private(m)} if m.private else {}),
        "audit pool": f"{m.counts['audit']} continuations of each state" if m.counts["audit"] else "none",
        "truncated": ", ".join(
            f"{what} unknown" if share is None else f"{share:.2%} of {what}"
            for what, share in s["truncated_share"].items()
        ),
        **(
            {"  unclosed thoughts": f"{m.generation['unclosed_thoughts']} rollouts"}
            if "unclosed_thoughts" in m.generation
            else {}
        ),
        "success rate": s["success_rate"],
        **({"  imported returns": _given(m.generation["given"])} if "given" in m.generation else {}),
        **{f"  tier {tier}": rate for tier, rate in s["success_rate_by_tier"].items()},
        **{
            f"  looked at for {tier}": f"{n} problems"
            for tier, n in m.generation.get("pilot", {}).get("looked_at", {}).items()
        },
        "Var(V) of path states": s["value_variance"],
        "  within problems": _share(s["within_problem_share"]),
        "  with .05 < V < .95": _share(s["graded_share"]),
        "noise floor": s["noise_floor"],
        "tokens sampled": f"{m.generation['tokens_sampled']:,}",
        "checksum": suite.checksum[:16],
    }
    for name, value in rows.items():
        made.add_row(name, "n/a" if value is None else str(value))
    return made


def _adjacent_pairs(suite: Suite) -> int:
    """Pairs of path states of one rollout that are one step apart."""
    path = suite.table("states", ["rollout_id", "kind", "step_index"], [("kind", "=", "path")]).to_pandas()
    steps = path.sort_values(["rollout_id", "step_index"])
    same = steps["rollout_id"].eq(steps["rollout_id"].shift())
    return int((same & steps["step_index"].diff().eq(1)).sum())


def _next_steps(suite: Suite) -> str:
    """Of how many states the step that follows is known, and how many of these have a weight."""
    known, weighed = (
        table.num_rows - table[name].null_count
        for table in [suite.table("states", ADDED["states"])]
        for name in ADDED["states"]
    )
    return f"lengths of {known}, weights of {weighed}" if known else "not recorded"


def _note(note: Any) -> str:
    """A note as text; a table becomes `key: value` pairs."""
    if isinstance(note, dict):
        return "; ".join(f"{key}: {_note(value)}" for key, value in note.items())
    return escape(str(note))


def _grader(manifest: Manifest) -> str:
    """Which version graded the suite, and whether it is the installed one."""
    imported = "grader" not in manifest.task and manifest.policy.get("engine") == "imported"
    if imported or manifest.task["name"] not in task_names():  # or of a task that is not installed here
        return manifest.grader
    here = grader_identity(Task.load(manifest.task["name"]))
    same = manifest.task.get("grader") == here
    return manifest.grader + (
        "" if same else f" (installed: {here['name']} {here['version']}; see `sveb suite regrade`)"
    )


def _private(manifest: Manifest) -> str:
    held, promise = len(manifest.private_problems), manifest.private["commitment"][:16]
    return f"the truth of {held} of {manifest.counts['test_problems']} problems, commitment {promise}"


def _reasons(missing: dict[str, Any]) -> str:
    """`12 (timed out: 10, no answer from the judge: 2)`."""
    reasons = ", ".join(f"{reason}: {count}" for reason, count in missing["reasons"].items())
    return escape(f"{missing['count']} ({reasons})")


def _given(given: dict[str, int]) -> str:
    return f"{given['graded_otherwise']} of {given['rollouts']} differ from the task's grader"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def upload_table(upload: Upload) -> Table:
    """The files that a push uploads."""
    made = table(f"{upload.suite.name} {upload.suite.manifest.version} to {upload.to}", "file", "bytes")
    for file in upload.files:
        made.add_row(str(file), f"{(upload.suite.path / file).stat().st_size:,}")
    made.add_row("all", f"{upload.size_bytes:,}")
    return made


def suites_table() -> Table:
    """All suites that can be opened by name."""
    made = table("suites", "name", "version", "task", "policy", "path states", "K", "folder")
    for name, folder in local_suites().items():
        m = Manifest.read(folder)
        made.add_row(
            name, m.version, m.task["name"], m.policy["name"], str(m.statistics["states"]["path"]),
            str(m.counts["continuations"]), str(folder),
        )  # fmt: skip
    return made
