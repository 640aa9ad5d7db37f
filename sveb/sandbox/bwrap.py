"""The command lines of bubblewrap: what confined code sees, and which user it runs as.

/usr /bin /lib      the system, read-only
bound paths         read-only
/tmp /dev/shm       files in memory, with a size limit
/proc /dev          of its own namespaces; everything else is read-only and empty

If root starts the sandbox, two steps are needed: the kernel does not limit the number of root's processes, and an
ordinary user cannot read root's home, where Python may be installed. So a first bubblewrap, as root, only shows the
sources to bind under /mnt (in its own mount namespace). Then setpriv changes to an ordinary user who runs the second.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.sandbox.limits import Limits

# No account has this id: Debian's policy reserves 65000 to 65533. It is also valid in containers with 65536 users.
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
    """`command` with these read-only `binds` and this environment; `hidden` folders appear empty inside.

    `first` starts the probes (inside.py), which then become `command`. Both get the descriptor of the channel as an
    argument. `secrets` are files that must not be readable inside. They are not blocked one by one: the probes test
    them. `user` is the ordinary user to become if root starts the sandbox (default: ORDINARY_USER).
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
    """The absolute path of a program. Raises SvebError with the way to install it if it is missing."""
    found = shutil.which(name)
    if found is None:
        package = {"bwrap": "bubblewrap", "setpriv": "util-linux"}[name]
        raise SvebError(
            f"the sandbox needs {name}, which is not on this machine: install {package} (Debian: apt-get install "
            f"{package}); nothing runs without a sandbox"
        )
    return found


def arguments(confinement: Confinement, channel: int, filter_: int) -> list[str]:
    """The whole command line. Raises SvebError if a tool is missing or the user cannot be used."""
    user, me = confinement.user, os.getuid()
    if me == 0:
        user = ORDINARY_USER if user is None else user
        if user == 0:
            raise SvebError("the sandbox does not run as root, because root has no process limits: name another user")
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
    # Its own process namespace: when its first process dies, the kernel ends all processes in it. A signal would not
    # work, because this bubblewrap has dropped the right to signal another user's process.
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
    # bubblewrap's own root and /dev are writable and have no size limit.
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def _shown(confinement: Confinement) -> list[str]:
    """Where the hidden folders would be visible: under /usr or under bound paths."""
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
