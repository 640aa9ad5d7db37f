"""From finished units to a suite's files: tables, dataset card, checksums, and the manifest last."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from sveb.core.files import sha256, write_text
from sveb.core.manifest import Manifest
from sveb.core.statistics import suite_statistics, value_statistics
from sveb.core.tables import table_of, write_table
from sveb.generate.card import dataset_card
from sveb.generate.croissant import croissant
from sveb.generate.job import Job
from sveb.generate.states import Rollout, State
from sveb.generate.store import Store
from sveb.generate.tiers import Selection
from sveb.policies.text import TextCodec
from sveb.tasks.problems import ProblemSet


def package(job: Job, rollouts: Sequence[Rollout], states: Sequence[State], started: float) -> None:
    """Writes every file of the suite. `started` is the monotonic clock at this run's start.

    Rows stand in the plan's order, not in the order in which units finished: a resumed run ends with the same bytes.
    """
    out, plan, store, problems = job.settings.out, job.plan, job.store, job.problems
    tables = {
        "problems": table_of("problems", _problem_rows(problems, job.prompts)),
        "rollouts": table_of("rollouts", [vars(rollout) for rollout in rollouts]),
        "states": table_of("states", [vars(state) | {"n_tokens": len(state.token_ids)} for state in states]),
        "draws": table_of("draws", _draw_rows(states, store, job.policy.codec)),
        "truth": table_of("truth", _truth_rows(states, store)),
    }
    for name, table in tables.items():
        write_table(out / f"{name}.parquet", table)
    statistics = suite_statistics(tables["problems"], tables["rollouts"], tables["states"], tables["truth"])
    sampled = sum(len(r.token_ids) for r in rollouts)
    sampled += sum(
        sum(row["n_tokens"]) for stage in ("siblings", "truth", "draws") for row in store.read(stage, ["n_tokens"])
    )
    pilot = {"pilot": _pilot(job.selection, store)} if job.selection else {}
    settings = plan.to_dict()
    manifest = Manifest(
        version="1.0.0",
        statistics=statistics,
        # The last run's wall time only: what earlier, interrupted runs took is not known.
        generation={"tokens_sampled": sampled, "last_run_wall_s": round(time.monotonic() - started, 1), **pilot},
        files={
            f"{name}.parquet": {
                "sha256": sha256(out / f"{name}.parquet"),
                "bytes": (out / f"{name}.parquet").stat().st_size,
                "rows": table.num_rows,
            }
            for name, table in tables.items()
        },
        **settings,
    )
    write_text(out / "README.md", dataset_card(manifest, plan.task["licence"]))
    write_text(out / "croissant.json", croissant(manifest, plan.task["licence"]))
    named = ["README.md", "croissant.json", *(f"{name}.parquet" for name in sorted(tables))]
    write_text(out / "SHA256SUMS", "\n".join(f"{sha256(out / name)}  {name}" for name in named))
    manifest.write(out)


def _pilot(selection: Selection, store: Store) -> dict[str, Any]:
    """How the test problems were found; the pilot's tokens are not among those of the suite."""
    return {
        "looked_at": selection.looked_at,
        "ungraded": selection.ungraded,
        "tokens_sampled": sum(sum(row["n_tokens"]) for row in store.read("pilot", ["n_tokens"])),
    }


def _problem_rows(problems: ProblemSet, prompts: dict[str, list[int]]) -> list[dict[str, Any]]:
    return [
        {
            "problem_id": p.problem_id,
            "split": split,
            "question": p.question,
            "answer": p.answer,
            "prompt_token_ids": prompts[p.problem_id],
            "tier": p.tier,
            "extras": json.dumps(p.extras, sort_keys=True),
        }
        for split, chosen in (("test", problems.test), ("train", problems.train))
        for p in chosen
    ]


def _by_state(store: Store, stage: str, columns: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Units of a stage by state, each state's in the order of chunks."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in store.read(stage, ["unit_id", "chunk", *columns]):
        found[row["unit_id"]].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: int(row["chunk"]))
    return found


def _truth_rows(states: Sequence[State], store: Store) -> list[dict[str, Any]]:
    units = _by_state(store, "truth", ["return_", "n_tokens", "finish_reason"])
    rows = []
    for state in states:
        merged = {
            key: [value for unit in units[state.state_id] for value in unit[key]]
            for key in ("return_", "n_tokens", "finish_reason")
        }
        mean, se, n, missing = value_statistics(np.asarray(merged["return_"], dtype=np.float64))
        rows.append(
            {
                "state_id": state.state_id, **merged, "value_mean": None if np.isnan(mean) else mean,
                "value_se": None if np.isnan(se) else se, "n_continuations": n, "n_missing": missing,
            }
        )  # fmt: skip
    return rows


def _draw_rows(states: Sequence[State], store: Store, codec: TextCodec) -> list[dict[str, Any]]:
    units = _by_state(store, "draws", ["return_", "n_tokens", "token_ids"])
    rows = []
    for state in states:
        index = 0
        for unit in units[state.state_id]:
            for return_, n_tokens, text in zip(
                unit["return_"], unit["n_tokens"], codec.decode_many(unit["token_ids"]), strict=True
            ):
                rows.append(
                    {
                        "state_id": state.state_id,
                        "draw_index": index,
                        "return_": return_,
                        "n_tokens": n_tokens,
                        "text": text,
                    }
                )
                index += 1
    return rows
