"""Progress bars: one per stage of a generation, one per estimator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from sveb.cli.console import err
from sveb.cli.forecast_table import forecast_table
from sveb.generate.cost import Forecast
from sveb.generate.reporter import LOAD_POLICY


class GenerateProgress:
    """A `Reporter` of `sveb.generate`: one bar per stage, with tokens per second and the time left.

    `loading` is true while the policy is loaded.
    """

    def __init__(self) -> None:
        self.loading = False
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=err,
        )
        self._stage: int | None = None
        self._started = 0.0
        self._tokens = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish_stage()
        self._progress.stop()

    def _finish_stage(self) -> None:
        if self._stage is not None:
            task = self._progress.tasks[self._stage]
            total = task.total or 1
            self._progress.update(self._progress.task_ids[self._stage], total=total, completed=total)

    def forecast(self, expected: Forecast) -> None:
        """See `Reporter.forecast`."""
        self._progress.console.print(forecast_table(expected))

    def stage(self, name: str, total: int, done: int) -> None:
        """See `Reporter.stage`."""
        self._finish_stage()
        self.loading = name == LOAD_POLICY
        if not err.is_terminal:
            err.print(f"{name}: {total - done} of {total} continuations left" if total else name)
        self._stage = int(self._progress.add_task(f"{name:<12}", total=total or None, completed=done, rate=""))
        self._started, self._tokens = time.monotonic(), 0

    def advance(self, continuations: int, tokens: int) -> None:
        """See `Reporter.advance`."""
        if self._stage is None:
            return
        self._tokens += tokens
        rate = self._tokens / max(time.monotonic() - self._started, 1e-9)
        task_id = self._progress.task_ids[self._stage]
        self._progress.update(task_id, advance=continuations, rate=f"{rate:,.0f} tok/s")


@contextmanager
def problems_progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Bars over problems, one per estimator: yields a function from a name to its `progress(done, total)`."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True,
    ) as progress:  # fmt: skip

        def bar(name: str) -> Callable[[int, int], None]:
            task = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar
