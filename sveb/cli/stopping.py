"""Stopping a long command: what Ctrl-C does, and which command line continues the work."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from sveb.cli.console import err
from sveb.cli.progress_bars import GenerateProgress
from sveb.common.errors import SvebError
from sveb.generate.generation import StoppedError


def this_command() -> str:
    """The command line of this process, quoted for a shell."""
    if Path(sys.argv[0]).name == "__main__.py":
        return shlex.join(sys.orig_argv)
    found = shutil.which("sveb")
    name = "sveb" if found and Path(found).resolve() == Path(sys.argv[0]).resolve() else sys.argv[0]
    return shlex.join([name, *sys.argv[1:]])


@contextmanager
def continuable(out: Path) -> Iterator[GenerateProgress]:
    """Progress of work in the folder `out`. If Ctrl-C or an error stops it, shows the command that continues."""
    to_continue = f"finished work is in {out}; to continue:\n  {this_command()}"
    try:
        with GenerateProgress() as progress, two_step_stop(to_continue, lambda: progress.loading):
            yield progress
    except KeyboardInterrupt:
        typer.echo(f"stopped; {to_continue}", err=True)
        raise typer.Exit(130) from None
    except StoppedError as error:
        raise SvebError(f"{error}\n{to_continue}") from error


@contextmanager
def two_step_stop(text: str, loading: Callable[[], bool]) -> Iterator[None]:
    """The first Ctrl-C raises KeyboardInterrupt, so that finished work gets written; the second ends at once.

    While `loading()` is true the first one ends it at once: nothing waits to be written, and an exception in the middle
    of an engine's imports may get lost there, or abort the process. `text` is shown when the process ends at once.
    """

    def say(line: str) -> None:
        # Not through the console: it may be writing when this handler runs.
        os.write(err.file.fileno(), f"\n{line}\n".encode())

    def at_once(*_: object) -> None:
        say(f"stopped at once. {text}" + ("\x1b[?25h" if err.is_terminal else ""))
        os._exit(130)

    def first(_number: int, _frame: FrameType | None) -> None:
        if loading():
            at_once()
        signal.signal(signal.SIGINT, at_once)
        say("stopping: finished work is being written; press Ctrl-C again to stop at once")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
