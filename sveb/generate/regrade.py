"""The second look at what could not be graded: at the end of every stage, in this run and in every later one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sveb.generate.run_stage import Reporter
from sveb.generate.unit_store import Store
from sveb.policies.codec import TextCodec
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading

_AT_ONCE = 4096  # continuations in the graders' hands


def regrade(
    stage: str,
    store: Store,
    codec: TextCodec,
    grading: Grading,
    problems: Mapping[str, ProblemRecord],
    keep_tokens: bool,
    reporter: Reporter,
) -> Counter[str]:
    """Grades the ungraded continuations of a stage once more; returns why those that stay missing do, with counts.

    A part of the store is replaced as a whole, by a rename: killed at any moment, it holds each unit once.
    """
    before = Counter(grading.failures)
    parts = {part: store.ungraded(part) for part in store.parts(stage)}
    if any(parts.values()):
        reporter.stage(f"grade {stage}", sum(parts.values()), 0)
    for part in (part for part, count in parts.items() if count):
        rows = store.rows(part)
        open_places = [(row, i) for row in rows for i, return_ in enumerate(row["return_"]) if return_ is None]
        for start in range(0, len(open_places), _AT_ONCE):
            chosen = open_places[start : start + _AT_ONCE]
            texts = codec.decode_many([[*row["response"], *row["token_ids"][i]] for row, i in chosen])
            futures = [
                grading.submit(problems[row["problem_id"]], text, row["finish_reason"][i])
                for (row, i), text in zip(chosen, texts, strict=True)
            ]
            for (row, i), future in zip(chosen, futures, strict=True):
                row["return_"][i] = future.result()
                reporter.advance(1, 0)
                if row["return_"][i] is not None and not keep_tokens:
                    row["token_ids"][i] = None
        for row in rows:
            if None not in row["return_"]:
                row["response"] = None
        store.replace(part, rows)
    return Counter(grading.failures) - before
