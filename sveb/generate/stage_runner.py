"""Running a stage: its unfinished units go to the policy, then to the graders, then into the store."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sveb.common.errors import SvebError, named
from sveb.generate.grading_queue import GradingQueue
from sveb.generate.reporter import Reporter
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.policy import Completion, Policy, SampleRequest, Sampling
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading

T = TypeVar("T")

_QUIET_S = 2.0  # a shorter wait for grades is not worth a progress bar
_REGRADED_AT_ONCE = 4096  # continuations that are given to the graders together


@dataclass(frozen=True, kw_only=True)
class StageRunner:
    """Runs the stages of one generation: every stage continues prefixes, and grades and stores what comes out.

    `problem_of` maps problem_id to problem, for grading. `missing` counts, by stage and by reason, the continuations
    that could not be graded at the last attempt.
    """

    store: Store
    policy: Policy
    sampling: Sampling
    grading: Grading
    reporter: Reporter
    problem_of: Mapping[str, ProblemRecord]
    missing: dict[str, Counter[str]] = field(default_factory=dict)

    def run(
        self,
        stage: str,
        units: Callable[[], Iterable[Unit]],
        *,
        graded: bool = True,
        keep_tokens: bool = True,
        retry: bool = True,
    ) -> None:
        """Brings every unit of a stage into the store, then grades once more what has no grade.

        `units` makes them anew at every call: they are counted first, then made one by one as the engine needs them, so
        that memory does not grow with their number. With `graded=False` returns stay missing. With `keep_tokens=False`
        only ungraded continuations keep their tokens. With `retry=False` missing grades stay missing.
        """
        self._sample(stage, units, self.grading if graded else None, keep_tokens)
        if graded and retry:
            self.grade_missing(stage, keep_tokens=keep_tokens)

    def _sample(
        self, stage: str, units: Callable[[], Iterable[Unit]], grading: Grading | None, keep_tokens: bool
    ) -> None:
        """Samples and stores the units that the store does not have yet."""
        done = self.store.done(stage)

        def is_done(unit: Unit) -> bool:
            return unit.chunk in done.get(unit.unit_id, ())

        total = finished = 0
        for unit in units():
            total += len(unit.seeds)
            finished += len(unit.seeds) if is_done(unit) else 0
        self.reporter.stage(stage, total, finished)
        if finished == total:
            return
        open_units: dict[int, tuple[Unit, list[Completion | None]]] = {}

        def requests() -> Iterator[SampleRequest]:
            for index, unit in enumerate(unit for unit in units() if not is_done(unit)):
                open_units[index] = (unit, [None] * len(unit.seeds))
                prefix = [*unit.prompt, *unit.response]
                for place, seed in enumerate(unit.seeds):
                    yield SampleRequest((index, place), prefix, int(seed), unit.max_tokens)

        queue = GradingQueue(stage, self.store, self.policy.codec, grading, keep_tokens)
        try:
            for completion in guarded(self.policy.sample(requests(), self.sampling), stage, self.store):
                index, place = completion.key
                unit, completions = open_units[index]
                completions[place] = completion
                self.reporter.advance(1, len(completion.token_ids))
                found = [c for c in completions if c is not None]
                if len(found) == len(completions):
                    del open_units[index]
                    queue.put(unit, found)
            waiting = queue.wait(_QUIET_S)
            if waiting:
                self.reporter.stage(f"grade {stage}", waiting, 0)
            while waiting:
                before, waiting = waiting, queue.wait(0.5)
                self.reporter.advance(before - waiting, 0)
        finally:
            # Also on Ctrl-C or an error: finished units are kept.
            queue.close()

    def grade_missing(self, stage: str, *, keep_tokens: bool) -> None:
        """Grades the ungraded continuations of a stage once more; `missing[stage]` says why some still have no grade.

        A part file is replaced as a whole, by a rename: if the process is killed, the store still has each unit once.
        """
        before = Counter(self.grading.failures)
        parts = {part: count for part in self.store.parts(stage) if (count := self.store.ungraded(part))}
        if parts:
            self.reporter.stage(f"grade {stage}", sum(parts.values()), 0)
        for part in parts:
            self._grade_part(part, keep_tokens)
        self.missing[stage] = Counter(self.grading.failures) - before

    def _grade_part(self, part: Path, keep_tokens: bool) -> None:
        rows = self.store.rows(part)
        open_places = [(row, i) for row in rows for i, return_ in enumerate(row["return_"]) if return_ is None]
        for start in range(0, len(open_places), _REGRADED_AT_ONCE):
            chosen = open_places[start : start + _REGRADED_AT_ONCE]
            texts = self.policy.codec.decode_many([[*row["response"], *row["token_ids"][i]] for row, i in chosen])
            futures = [
                self.grading.submit(self.problem_of[row["problem_id"]], text, row["finish_reason"][i])
                for (row, i), text in zip(chosen, texts, strict=True)
            ]
            for (row, i), future in zip(chosen, futures, strict=True):
                row["return_"][i] = future.result()
                self.reporter.advance(1, 0)
                if row["return_"][i] is not None and not keep_tokens:
                    row["token_ids"][i] = None
        for row in rows:
            if None not in row["return_"]:
                row["response"] = None
        self.store.replace(part, rows)


def guarded(found: Iterator[T], stage: str, store: Store) -> Iterator[T]:
    """What the engine has found. An error in the engine becomes a SvebError, and its traceback goes to a file."""
    try:
        yield from found
    except (SvebError, GeneratorExit):
        raise
    except Exception as error:
        log = store.note_crash(traceback.format_exc())
        raise SvebError(f"the engine failed in stage {stage} ({named(error)}); the traceback is in {log}") from error
