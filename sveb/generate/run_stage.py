"""Running a stage: its unfinished units through the policy, then over the desk into the store."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from sveb.common.errors import SvebError, named
from sveb.generate.grading_queue import Desk
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.policy import Completion, Policy, SampleRequest, Sampling
from sveb.tasks.grading import Grading

if TYPE_CHECKING:
    from sveb.generate.forecast import Forecast

LOAD_POLICY = "load policy"  # a stage that may be ended at any moment: nothing is drawn yet, nothing is to be closed
_QUIET_S = 2.0  # of waiting for grades, before it is worth a bar


def load_stage(engine: str | None) -> str:
    """The stage in which the engine starts: LOAD_POLICY, but for Ray, whose processes must be told to end."""
    return "start Ray" if engine == "ray" else LOAD_POLICY


class Reporter(Protocol):
    """Hears of progress; the CLI draws it."""

    def forecast(self, expected: Forecast) -> None:
        """What the work will cost, before it begins."""
        ...

    def stage(self, name: str, total: int, done: int) -> None:
        """A stage begins: `total` continuations, `done` of them by an earlier run."""
        ...

    def advance(self, continuations: int, tokens: int) -> None:
        """So many more continuations, sampled with so many tokens."""
        ...


class SilentReporter:
    """Draws nothing; sums the tokens and continuations that it hears of."""

    def __init__(self) -> None:
        self.tokens = 0
        self.continuations = 0

    def forecast(self, expected: Forecast) -> None:
        """See `Reporter`."""

    def stage(self, name: str, total: int, done: int) -> None:
        """See `Reporter`."""

    def advance(self, continuations: int, tokens: int) -> None:
        """See `Reporter`."""
        self.tokens += tokens
        self.continuations += continuations


def run_stage(
    stage: str,
    units: Callable[[], Iterable[Unit]],
    store: Store,
    policy: Policy,
    sampling: Sampling,
    reporter: Reporter,
    *,
    grading: Grading | None,
    keep_tokens: bool = True,
) -> None:
    """Brings every unit of a stage into the store, skipping those that are there.

    `units` gives them anew at every call: they are counted, then made one by one as the engine needs them, so that
    memory does not grow with their number. Without `grading` the returns stay missing. With `keep_tokens=False` only
    ungraded continuations keep their tokens.
    """
    done = store.done(stage)

    def is_done(unit: Unit) -> bool:
        return unit.chunk in done.get(unit.unit_id, ())

    total = finished = 0
    for unit in units():
        total += len(unit.seeds)
        finished += len(unit.seeds) if is_done(unit) else 0
    reporter.stage(stage, total, finished)
    if finished == total:
        return
    open_units: dict[int, tuple[Unit, list[Completion | None]]] = {}

    def requests() -> Iterator[SampleRequest]:
        for index, unit in enumerate(unit for unit in units() if not is_done(unit)):
            open_units[index] = (unit, [None] * len(unit.seeds))
            prefix = [*unit.prompt, *unit.response]
            for place, seed in enumerate(unit.seeds):
                yield SampleRequest((index, place), prefix, int(seed), unit.max_tokens)

    desk = Desk(stage, store, policy.codec, grading, keep_tokens)
    try:
        for completion in guarded(policy.sample(requests(), sampling), stage, store):
            index, place = completion.key
            unit, completions = open_units[index]
            completions[place] = completion
            reporter.advance(1, len(completion.token_ids))
            found = [c for c in completions if c is not None]
            if len(found) == len(completions):
                del open_units[index]
                desk.take(unit, found)
        waiting = desk.settled(_QUIET_S)
        if waiting:
            reporter.stage(f"grade {stage}", waiting, 0)
        while waiting:
            before, waiting = waiting, desk.settled(0.5)
            reporter.advance(before - waiting, 0)
    finally:
        # On Ctrl-C or a fault too: what is finished is kept.
        desk.close()


def guarded(completions: Iterator[Completion], stage: str, store: Store) -> Iterator[Completion]:
    """What comes out of the engine; a fault in there becomes a SvebError, its traceback goes to a file."""
    try:
        yield from completions
    except (SvebError, GeneratorExit):
        raise
    except Exception as error:
        log = store.note_crash(traceback.format_exc())
        raise SvebError(f"the engine failed in stage {stage} ({named(error)}); the traceback is in {log}") from error
