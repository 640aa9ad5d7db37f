"""The command lines of bubblewrap: what confined code sees, and as which user it starts.

/usr /bin /lib      the system, read-only
what is bound       read-only
/tmp /dev/shm       files in memory, of a limited size
/proc /dev          of its own namespaces; all else is read-only and empty

Started by root, everything is done in two steps: root cannot be limited in its number of processes, and an
ordinary user cannot look into root's home, where Python may live. So a first bubblewrap, as root, only shows the
sources to be bound under /mnt (in a mount namespace of its own), and setpriv drops to a user who runs the second.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.sandbox.limits import Limits

# No account has it: Debian's policy reserves 65000 to 65533, and it exists within the 65536 users of a container.
ORDINARY_USER = 65011
_STAGE = "/mnt"
_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
_NOBODY = "65534"
_ISOLATION = (
    "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv",
    "--cap-drop", "ALL", "--uid", _NOBODY, "--gid", _NOBODY,
)  # fmt: skip


@dataclass(frozen=True)
class Bind:
    """A file or folder `source` of this machine, shown read-only as `target`."""

    source: Path
    target: str


@dataclass(frozen=True)
class Confinement:
    """`command` with these read-only `binds` and this environment; `hidden` folders are empty wherever they show.

    `first` starts the probes (inside.py), which become `command`; both get the channel's descriptor as an argument.
    `secrets` are files that must be unreadable inside: no wall is made for them, the probes try them. `user` is the
    ordinary user to become when root starts it (default: ORDINARY_USER).
    """

    first: tuple[str, ...]
    command: tuple[str, ...]
    binds: tuple[Bind, ...]
    hidden: tuple[Path, ...] = ()
    secrets: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)
    user: int | None = None


def tool(name: str) -> str:
    """The absolute path of a program; a SvebError says how to get it."""
    found = shutil.which(name)
    if found is None:
        package = {"bwrap": "bubblewrap", "setpriv": "util-linux"}[name]
        raise SvebError(
            f"the sandbox needs {name}, which is not on this machine: install {package} (Debian: apt-get install "
            f"{package}); without a sandbox nothing is run"
        )
    return found


def arguments(confinement: Confinement, channel: int, filter_: int) -> list[str]:
    """The whole command line. Raises SvebError when a tool is missing or the user cannot be had."""
    user, me = confinement.user, os.getuid()
    if me == 0:
        user = ORDINARY_USER if user is None else user
        if user == 0:
            raise SvebError("the sandbox does not run as root, whom process limits do not bind: name another user")
        staged = [(bind, f"{_STAGE}/{place}") for place, bind in enumerate(confinement.binds)]
        before = _as_user(user, staged)
        binds = [(source, bind) for bind, source in staged]
    elif user in (None, me):
        before, binds = [], [(str(bind.source), bind) for bind in confinement.binds]
    else:
        raise SvebError(f"the sandbox cannot run as user {user}: only root can become another user")
    return [*before, tool("bwrap"), *_ISOLATION, *_files(confinement, binds), "--seccomp", str(filter_),
            *_environment(confinement), "--", *confinement.first, str(channel), *confinement.command]  # fmt: skip


def _as_user(user: int, staged: Sequence[tuple[Bind, str]]) -> list[str]:
    words = [tool("bwrap"), "--dev-bind", "/", "/", "--tmpfs", _STAGE]
    for bind, source in staged:
        words += ["--ro-bind", str(bind.source), source]
    # Its own process namespace: when it dies, the kernel ends all within. A signal from it would not do, for this
    # bubblewrap has dropped the right to signal another user's process.
    words += ["--unshare-pid", "--die-with-parent", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"]
    return [*words, tool("setpriv"), "--reuid", str(user), "--regid", str(user), "--clear-groups", "--"]


def _files(confinement: Confinement, binds: Sequence[tuple[str, Bind]]) -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            words += ["--ro-bind", name, name]
    for source, bind in binds:
        words += ["--ro-bind", source, bind.target]
    for target in _shown(confinement):
        words += ["--perms", "0555", "--size", "4096", "--tmpfs", target, "--remount-ro", target]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for target in ("/tmp", "/dev/shm"):
        words += ["--size", str(confinement.limits.scratch_bytes), "--tmpfs", target]
    # bubblewrap's own root and /dev are writable and of no size of their own.
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def _shown(confinement: Confinement) -> list[str]:
    """Where the hidden folders would show: under /usr or under what is bound."""
    roots = [Bind(Path("/usr"), "/usr"), *confinement.binds]
    found = []
    for hidden in confinement.hidden:
        for root in roots:
            source = root.source.resolve()
            if hidden.resolve().is_relative_to(source) and hidden.is_dir():
                found.append(str(Path(root.target) / hidden.resolve().relative_to(source)))
    return found


def _environment(confinement: Confinement) -> list[str]:
    return [word for name, value in confinement.environment for word in ("--setenv", name, value)]
