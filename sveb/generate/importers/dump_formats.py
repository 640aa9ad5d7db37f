"""The rollout dumps of trainers, one reader each, as rows of one kind. `FORMATS` is the table of them.

The layouts were read in the trainers' sources; docs/import.md names the versions. To add a trainer, write a reader that
turns one row of its files into a `Dumped`, and add it to the table.
"""

from __future__ import annotations

from pathlib import Path

from sveb.common.errors import SvebError, unknown_name
from sveb.generate.importers.dumped import Dumped, Format, matching
from sveb.generate.importers.findings import Findings, jsonl_rows, table_rows
from sveb.generate.importers.text_dumps import hista, hista_rows, plain, trl, verl, verl_files
from sveb.generate.importers.token_dumps import open_instruct, prime_files, prime_rl, slime, slime_files, slime_rows

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("verl", "files <step>.jsonl, as trainer.rollout_data_dir writes them", verl_files, jsonl_rows, verl),
        Format("trl", "files completions_<step>.parquet, as log_completions writes them",
               matching("completions_*.parquet"), table_rows, trl),
        Format("open-instruct", "files <run>_rollouts_<shard>.jsonl, as --save_traces writes them",
               matching("*_rollouts_*.jsonl"), jsonl_rows, open_instruct, lambda path: str(path).rpartition("_")[0]),
        Format("prime-rl", "files step_<n>/train/all/traces.jsonl, as its file monitor writes them",
               prime_files, jsonl_rows, prime_rl),
        Format("slime", "files <rollout_id>.pt, as --save-debug-rollout-data writes them",
               slime_files, slime_rows, slime),
        Format("hista", "files sample_<n>.json, as in extra_rollouts.tar.gz of the HiSTA authors",
               matching("sample_*.json"), hista_rows, hista),
        Format("jsonl", "files *.jsonl with the keys prompt, response and reward",
               matching("*.jsonl"), jsonl_rows, plain, lambda _: ""),
    )
}  # fmt: skip


def read_dump(
    folder: Path, name: str, findings: Findings, reward: str = "", step: int | None = None
) -> tuple[list[Path], list[Dumped]]:
    """The rollouts of one training step (None: of the last one), and the files that hold them.

    Other steps are rollouts of other policies. `folder` may also be one of the files. Raises SvebError for a dump of
    another kind, without rollouts, or with the step in two runs.
    """
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    form = FORMATS[name]
    if not folder.exists():
        raise SvebError(f"{folder} does not exist: expected the folder of a dump ({form.about})")
    files = [folder] if folder.is_file() else form.files(folder)
    if not files:
        raise SvebError(f"{folder} contains no dump of format {name}: expected {form.about}")
    steps: set[int] = set()
    found: list[Dumped] = []
    used: dict[Path, str] = {}
    for path in files:
        for row in form.rows(path, findings):
            if (rollout := form.read(row, path, findings, reward)) is None:
                continue
            if step is None and rollout.step > max(steps, default=rollout.step):
                found, used = [], {}
            steps.add(rollout.step)
            if rollout.step == (max(steps) if step is None else step):
                found.append(rollout)
                used[path] = form.source(path)
    if not steps:
        raise SvebError(f"{folder} contains no complete rollout{findings.reasons}")
    if not found:
        raise SvebError(f"{folder} has no step {step}: it has the steps {min(steps)} to {max(steps)}")
    if len(sources := sorted(set(used.values()))) > 1:
        raise SvebError(
            f"{folder} contains step {found[0].step} {len(sources)} times ({', '.join(sources[:3])}): a run writes "
            "each step once, so name the folder or the file of one run"
        )
    if others := sorted(steps - {found[0].step}):
        findings.warnings[f"other steps, of other policies: only step {found[0].step} is imported"] = [
            f"step {other}" for other in others
        ]
    return list(used), found
