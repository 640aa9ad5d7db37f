"""A long command that may be stopped: what Ctrl-C does, and the command line that continues."""

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
    """The progress of work in the folder `out`; where it stops, by Ctrl-C or a fault, the command that continues it."""
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
    """Ctrl-C once raises KeyboardInterrupt, so that what is finished gets written; twice ends the process at once.

    While `loading()` once is enough: nothing waits to be written, and an exception in the middle of an engine's imports
    may get lost there, or abort the process. `text` is the last word of a process that ends at once.
    """

    def say(line: str) -> None:
        # Not through the console: a handler may run in the middle of its writing.
        os.write(err.file.fileno(), f"\n{line}\n".encode())

    def at_once(*_: object) -> None:
        say(f"stopped at once. {text}" + ("\x1b[?25h" if err.is_terminal else ""))
        os._exit(130)

    def first(_number: int, _frame: FrameType | None) -> None:
        if loading():
            at_once()
        signal.signal(signal.SIGINT, at_once)
        say("stopping: what is finished is being written; Ctrl-C again stops at once")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
