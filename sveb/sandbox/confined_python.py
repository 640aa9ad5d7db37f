"""What confined Python code needs from this machine: an interpreter, its libraries, and sveb's code without data.

/python     the interpreter, if it is not in /usr
/packages   site-packages (without sveb)
/code/sveb  copied Python files of the named sveb packages: never a suite, never the weights of a policy
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sveb.sandbox.bwrap import Bind

PACKAGE = Path(__file__).resolve().parent.parent
_FIRST = "sandbox/inside.py"


class Python:
    """The interpreter of this process, as seen inside. Without `packages` it has only the standard library."""

    def __init__(self, packages: bool = True) -> None:
        base = Path(sys.base_prefix).resolve()
        executable = Path(sys.executable).resolve()
        self.binds: list[Bind] = []
        self._home = _place(base, "/python", self.binds)
        self._executable = f"{self._home}/{executable.relative_to(base)}"
        folders = _package_folders() if packages else []
        self._packages = [
            _place(folder, f"/packages{number or ''}", self.binds)
            for number, folder in enumerate(dict.fromkeys(folder.resolve() for folder in folders))
        ]

    @property
    def copies(self) -> list[Path]:
        """Copies of sveb in the folders that are shown, with their suites and weights: they must be hidden."""
        return installed_copies([Path("/usr"), *(bind.source for bind in self.binds)])

    @property
    def environment(self) -> dict[str, str]:
        """Where it finds modules. Numerical libraries use one thread, because threads count as processes."""
        return {
            "PYTHONPATH": ":".join(["/code", *self._packages]),
            "LD_LIBRARY_PATH": f"{self._home}/lib",
            "LANG": "C.UTF-8",
            "HOME": "/tmp",
            "TMPDIR": "/tmp",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }

    @property
    def probes(self) -> tuple[str, ...]:
        """Starts the probes: `Confinement.first`."""
        return self.command(f"/code/sveb/{_FIRST}")

    def command(self, *words: str) -> tuple[str, ...]:
        """`python WORDS...`, without site, user folder and modules from the working folder; writes no bytecode."""
        return (self._executable, "-P", "-S", "-B", *words)


def _package_folders() -> list[Path]:
    numpy = find_spec("numpy")
    folders = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
    return folders + ([Path(numpy.origin).parent.parent] if numpy is not None and numpy.origin else [])


def _place(folder: Path, target: str, binds: list[Bind]) -> str:
    """Where `folder` is visible inside: /usr is there already, any other folder is bound at `target`."""
    if folder.is_relative_to("/usr"):
        return str(folder)
    binds.append(Bind(folder, target))
    return target


def installed_copies(roots: Sequence[Path]) -> list[Path]:
    """The copies of sveb in the site-packages of interpreters at these roots: they have suites too."""
    kinds = [f"{local}lib/python3*/{name}-packages/sveb" for local in ("", "local/") for name in ("site", "dist")]
    return sorted({path.resolve() for root in roots for kind in kinds for path in root.glob(kind)})


def copy_code(rooms: Sequence[str], into: Path) -> Bind:
    """Copies the Python files of these packages, and the probes, to `into`. Any user can read the copies."""
    target = into / "sveb"
    for name in ("__init__.py", _FIRST):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PACKAGE / name, target / name)
    for room in rooms:
        # With the compiled files: they save 100 ms at each start and contain nothing that is not in the sources.
        shutil.copytree(PACKAGE / room, target / room, ignore=_data)
    open_up(into)
    return Bind(into, "/code")


def open_up(folder: Path) -> None:
    """Lets all users read a copied folder, because the sandbox may run as another user."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _data(folder: str, names: list[str]) -> list[str]:
    """The names that are neither folders nor Python code."""
    return [name for name in names if not (Path(folder, name).is_dir() or name.endswith((".py", ".pyc")))]
