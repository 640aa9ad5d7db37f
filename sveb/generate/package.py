"""From finished units to a suite's files: tables, dataset card, checksums, and the manifest last."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sveb.common.thoughts import in_thought
from sveb.generate.generation import Job
from sveb.generate.given_rollouts import returns_graded_otherwise
from sveb.generate.rollout_stage import stored_rollouts
from sveb.generate.stage_runner import StageRunner
from sveb.generate.state_cuts import StateRecord
from sveb.generate.tiers import Selection
from sveb.generate.unit_store import Store
from sveb.policies.codec import TextCodec
from sveb.suite.assemble import assemble
from sveb.suite.manifest import Manifest
from sveb.suite.tables import write_rows
from sveb.suite.truth_statistics import value_statistics
from sveb.tasks.problems import ProblemSet

_DRAWS_AT_ONCE = 65_536  # rows of single continuations, not of states


def package(job: Job, states: Sequence[StateRecord], started: float) -> None:
    """Writes every file of the suite, its manifest last. `started` is the monotonic clock at this run's start.

    Rows stand in the plan's order, not in the order in which units finished: a resumed run ends with the same bytes.
    They are written in slices, so that memory does not grow with the suite.
    """
    # A finished suite whose missing grades are tried again is none while its tables change.
    (job.settings.out / "manifest.json").unlink(missing_ok=True)
    out, plan, store, problems = job.settings.out, job.plan, job.store, job.problems
    places = {state.state_id: i for i, state in enumerate(states)}
    write_rows(out, "problems", _problem_rows(problems, job.prompts))
    write_rows(out, "rollouts", map(vars, stored_rollouts(job)))
    write_rows(out, "states", map(_state_row, states))
    write_rows(out, "draws", _draw_rows(places, store, job.policy.codec), at_once=_DRAWS_AT_ONCE)
    write_rows(out, "truth", truth_rows(places, store))
    if plan.counts.audit:
        write_rows(out, "audit", audit_rows(places, store))
    stages = ("rollouts", "siblings", "truth", "draws", "audit")
    sampled = sum(sum(row["n_tokens"]) for stage in stages for row in store.read(stage, ["n_tokens"]))
    pilot = {"pilot": _pilot(job.selection, store)} if job.selection else {}
    given = {"given": returns_graded_otherwise(job.given, job.grading)} if job.given else {}
    manifest = Manifest(
        version=job.settings.suite_version,
        # The last run's wall time only: what earlier, interrupted runs took is not known.
        generation={
            "tokens_sampled": sampled,
            "last_run_wall_s": round(time.monotonic() - started, 1),
            "missing": missing_grades(job),
            **pilot,
            **({"unclosed_thoughts": unclosed} if (unclosed := _unclosed_thoughts(job)) else {}),
            **given,
        },
        **plan.to_dict(),
    )
    assemble(out, manifest, plan.task["licence"])


def missing_grades(job: StageRunner) -> dict[str, dict[str, Any]]:
    """{stage: {"count", "reasons"}} of what could not be graded; stages without any are left out."""
    found = {}
    for stage, reasons in job.missing.items():
        count = sum(job.store.ungraded(part) for part in job.store.parts(stage))
        if count:
            found[stage] = {"count": count, "reasons": dict(sorted(reasons.items()))}
    return found


def _pilot(selection: Selection, store: Store) -> dict[str, Any]:
    """How the test problems were found; the pilot's tokens are not among those of the suite."""
    return {
        "looked_at": selection.looked_at,
        "ungraded": selection.ungraded,
        "tokens_sampled": sum(sum(row["n_tokens"]) for row in store.read("pilot", ["n_tokens"])),
    }


def _unclosed_thoughts(job: Job) -> int:
    """The rollouts that end inside a thought, truncated or not."""
    return sum(in_thought(job.task.thought + rollout.text) for rollout in stored_rollouts(job))


def _state_row(state: StateRecord) -> dict[str, Any]:
    return vars(state) | {"token_ids": list(state.token_ids), "n_tokens": len(state.token_ids)}


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


def truth_rows(places: Mapping[str, int], store: Store) -> Iterator[dict[str, Any]]:
    """The rows of truth.parquet, one a state, in the order of `places`."""
    for state_id, units in store.in_order("truth", places, ["return_", "n_tokens", "finish_reason"]):
        merged = {
            key: [value for unit in units for value in unit[key]] for key in ("return_", "n_tokens", "finish_reason")
        }
        mean, se, n, missing = value_statistics(np.asarray(merged["return_"], dtype=np.float64))
        yield {
            "state_id": state_id, **merged, "value_mean": None if np.isnan(mean) else mean,
            "value_se": None if np.isnan(se) else se, "n_continuations": n, "n_missing": missing,
        }  # fmt: skip


def audit_rows(places: Mapping[str, int], store: Store) -> Iterator[dict[str, Any]]:
    """The rows of audit.parquet, one a state, in the order of `places`."""
    for state_id, units in store.in_order("audit", places, ["return_"]):
        yield {"state_id": state_id, "return_": [value for unit in units for value in unit["return_"]]}


def _draw_rows(places: Mapping[str, int], store: Store, codec: TextCodec) -> Iterator[dict[str, Any]]:
    for state_id, units in store.in_order("draws", places, ["return_", "n_tokens", "token_ids"]):
        draws = (draw for u in units for draw in zip(u["return_"], u["n_tokens"], u["token_ids"], strict=True))
        for index, (return_, n_tokens, tokens) in enumerate(draws):
            yield {
                "state_id": state_id, "draw_index": index, "return_": return_, "n_tokens": n_tokens,
                "text": codec.decode(tokens),
            }  # fmt: skip
