"""The responses whose texts a suite keeps: rollouts, and draws after their states."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.tasks.audit import Response


def stored_problems(suite: Suite) -> dict[str, ProblemRecord]:
    """The suite's problems by id."""
    return {
        row["problem_id"]: ProblemRecord(
            row["problem_id"], row["question"], row["answer"], row["tier"], json.loads(row["extras"] or "{}")
        )
        for row in suite.table("problems").to_pylist()
    }


def stored_responses(suite: Suite) -> Iterator[Response]:
    """Every graded response that ended by itself. Truncated ones are left out: the task fixes their return."""
    budget, protocol = suite.manifest.sampling["max_new_tokens"], suite.protocol
    for row in suite.table("rollouts").to_pylist():
        if row["return_"] is not None and row["finish_reason"] == "stop":
            yield Response(row["rollout_id"], row["problem_id"], row["text"], row["return_"])
    states = {row["state_id"]: row for row in suite.table("states").to_pylist()}
    for row in suite.table("draws").to_pylist():
        state = states[row["state_id"]]
        if row["return_"] is not None and row["n_tokens"] < protocol.continuation_budget(
            budget, len(state["token_ids"])
        ):
            name = f"{row['state_id']}/draw-{row['draw_index']}"
            yield Response(name, state["problem_id"], state["text"] + row["text"], row["return_"])
