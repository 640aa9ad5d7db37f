"""The estimator's process in a sandbox. It sees an interpreter, libraries, a part of sveb, its code and the channel.

/code/sveb     the Python files of the rooms that it needs
/submission    the estimator's file, and the Python modules and packages next to it
/given/0 ...   the user's folders that a built-in's parameters name
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from sveb.common.errors import SvebError
from sveb.harness.wire import Channel
from sveb.harness.worker_process import GRACE_S, HEADER_LIMIT, LIMIT, closed, ended
from sveb.sandbox.bwrap import Bind, Confinement
from sveb.sandbox.confined_python import PACKAGE, Python, copy_code, open_up
from sveb.sandbox.limits import Limits
from sveb.sandbox.sandbox import Sandbox
from sveb.suite.suite import Suite

_SUBMISSION = "/submission"
_GIVEN = "/given"
_CLOSED_S = 2.0  # a process that closed its channel and still runs after this time is alive
_MOST_FILES = 1000
_MOST_BYTES = 64 * 1024 * 1024


class ConfinedWorker:
    """As `Worker`, but confined. Entering raises SvebError if the sandbox does not hold; then nothing runs."""

    def __init__(
        self,
        suite: Suite,
        file: Path | None,
        limits: Limits,
        module: str = "sveb.harness.worker",
        secrets: Sequence[Path] = (),
        shown: Sequence[Bind] = (),
    ) -> None:
        self._suite, self._file, self._limits, self._module = suite, file, limits, module
        self._shown = shown
        self._secrets = confined_secrets(suite, secrets)

    def __enter__(self) -> ConfinedWorker:
        with contextlib.ExitStack() as undo:
            # Kept as long as the sandbox lives: modules may be imported late.
            scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="sveb-")))
            self._sandbox = undo.enter_context(Sandbox(self._confinement(scratch)))
            self.channel = Channel(self._sandbox.channel, LIMIT, HEADER_LIMIT)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undo.close()

    def path(self, file: Path) -> str:
        """Where the process finds the estimator's file."""
        return f"{_SUBMISSION}/{file.name}"

    def finish(self) -> int:
        """Lets the process end and returns the most memory, in bytes, that it has held."""
        peak = self._sandbox.peak_bytes
        self.channel.send("end")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._sandbox.wait(GRACE_S)
        return peak

    def death(self) -> SvebError:
        """The error for a process that closed its channel before it had answered."""
        try:
            code = self._sandbox.wait(_CLOSED_S)
        except subprocess.TimeoutExpired:
            return closed()
        if self._sandbox.verdict is not None:
            return SvebError(f"the estimator {self._sandbox.verdict}, which the sandbox does not allow: it was ended")
        return ended(128 - code if code > 128 else code)

    def _confinement(self, scratch: Path) -> Confinement:
        python = Python()
        binds = [
            *python.binds,
            copy_code(("common", "contract", "estimators", "harness", "runs", "suite"), scratch / "code"),
        ]
        binds += self._shown
        if self._file is not None:
            binds.append(copy_estimator(self._file, scratch / "submission"))
        return Confinement(
            first=python.probes,
            command=python.command("-m", self._module),
            binds=tuple(binds),
            hidden=(PACKAGE, *python.copies, *sorted({secret.parent for secret in self._secrets})),
            secrets=self._secrets,
            # Sets of strings iterate in an order that depends on the hash seed; results must not depend on it.
            environment=(*python.environment.items(), ("PYTHONHASHSEED", "0")),
            limits=self._limits,
        )


def confined_secrets(suite: Suite, others: Sequence[Path]) -> tuple[Path, ...]:
    """The files that the sandbox must hide: the suite's, and `others`."""
    return (*sorted(suite.path.resolve().glob("*")), *others)


def given(folder: Path, place: int, secrets: Sequence[Path]) -> Bind:
    """Shows a folder of the user's. Raises SvebError if a secret is in it, or a file that the sandbox may not read.

    If root starts the sandbox, that is an ordinary user, and libraries write weights for their owner only.
    """
    source = folder.expanduser().resolve()
    found = next((secret for secret in secrets if secret.resolve().is_relative_to(source)), None)
    if found is not None:
        raise SvebError(
            f"the sandbox cannot show {folder}: {found.name}, which it must hide, is in that folder; move one of them"
        )
    private = (path for path in source.rglob("*") if path.is_file() and not path.stat().st_mode & 0o004)
    if os.getuid() == 0 and (unreadable := next(private, None)):
        raise SvebError(f"the sandbox cannot read {unreadable}: let other users read it, with chmod -R a+rX {folder}")
    return Bind(source, f"{_GIVEN}/{place}")


def copy_estimator(file: Path, into: Path) -> Bind:
    """Copies the file and the modules and packages next to it: Python files only, no links.

    A copy, because an estimator may lie in any folder, next to anything. Raises SvebError if the file is a link or if
    there is too much to copy.
    """
    if file.is_symlink():
        raise SvebError(f"{file} is a link: the sandbox needs the file itself, so copy it there")
    into.mkdir()
    total = 0
    for place, path in enumerate(_python_files(file)):
        total += path.stat().st_size
        if place >= _MOST_FILES or total > _MOST_BYTES:
            raise SvebError(
                f"{file.parent} holds more than {_MOST_FILES} Python files or {_MOST_BYTES // 2**20} MiB of them "
                f"next to {file.name}: move the estimator to a folder of its own"
            )
        target = into / path.relative_to(file.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    open_up(into)
    return Bind(into, _SUBMISSION)


def _python_files(file: Path) -> Iterator[Path]:
    yield file
    for path in sorted(file.parent.iterdir()):
        if path.is_symlink():
            continue
        if path.suffix == ".py" and path.is_file() and path != file:
            yield path
        elif (path / "__init__.py").is_file():
            yield from (each for each in sorted(path.rglob("*.py")) if each.is_file() and not each.is_symlink())
