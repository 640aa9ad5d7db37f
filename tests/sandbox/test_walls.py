"""What a confined command sees, and that the probes find each wall that is missing: then nothing runs."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.sandbox import inside, sandbox
from sveb.sandbox.bwrap import ORDINARY_USER, Bind, arguments
from sveb.sandbox.process_watch import tree
from sveb.sandbox.sandbox import Sandbox
from tests.sandbox.conftest import SMALL, Confine, Said
from tests.support.needs import missing, needs_root

ROOM = Path(sandbox.__file__).parents[1]
MUST_NOT_RUN = "print('it ran')"


def refusal(confinement: object) -> str:
    stream = io.StringIO()
    with pytest.raises(SvebError) as caught, Sandbox(confinement, stream):
        time.sleep(1)
    assert "it ran" not in stream.getvalue()
    return str(caught.value)


def test_a_command_sees_a_bare_system(said: Said) -> None:
    program = "import os; print(sorted(os.listdir('/')), os.getuid(), os.getcwd(), os.environ.get('HOME'))"
    system = [name for name in ("bin", "lib", "lib32", "lib64", "sbin") if os.path.lexists(f"/{name}")]
    binds = ["python"] if not sys.base_prefix.startswith("/usr") else []
    folders = sorted([*system, *binds, "packages", "code", "dev", "proc", "tmp", "usr"])
    assert said(program) == f"{folders} 65534 /tmp /tmp\n"


def test_the_environment_is_what_was_given(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVEB_SECRET", "x")
    program = "import os; print('SVEB_SECRET' in os.environ, open('/proc/1/environ').read() in ('', 'PWD=/\\0'))"
    assert said(program) == "False True\n"


def test_what_is_bound_can_be_read_and_not_written(said: Said, tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir(mode=0o755)
    (folder / "a").write_text("seen")
    program = "print(open('/inputs/a').read(), flush=True)\nopen('/inputs/b', 'w')"
    out = said(program, (Bind(folder, "/inputs"),))
    assert out.startswith("seen\n")
    assert "Read-only file system" in out
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_a_hidden_folder_is_empty_under_what_is_bound(said: Said, tmp_path: Path) -> None:
    """As sveb itself is, where it is installed in site-packages with suites and weights."""
    package = tmp_path / "site" / "sveb"
    (package / "embedded").mkdir(parents=True)
    (package / "embedded" / "truth.parquet").write_text("truth")
    (tmp_path / "site" / "other.py").write_text("")
    program = "import os; print(os.listdir('/site'), os.listdir('/site/sveb'), flush=True); open('/site/sveb/x', 'w')"
    secret = package / "embedded" / "truth"
    out = said(program, (Bind(tmp_path / "site", "/site"),), hidden=(package,), secrets=(secret,))
    assert "['other.py', 'sveb'] []" in out or "['sveb', 'other.py'] []" in out
    assert "Read-only file system" in out


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """Takes words out of the command line, or puts others in their place."""

    def change(old: list[str], new: list[str]) -> None:
        def changed(*given: object) -> list[str]:
            words = arguments(*given)
            place = max(i for i in range(len(words)) if words[i : i + len(old)] == old)
            return [*words[:place], *new, *words[place + len(old) :]]

        monkeypatch.setattr(sandbox, "arguments", changed)

    return change


SHARED_NETWORK = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (["--unshare-all"], SHARED_NETWORK, "network: the harness's port"),
        (["--disable-userns"], [], "namespaces: a nested user namespace can be created"),
        (["--remount-ro", "/"], [], "disk: / can be written"),
        (["--remount-ro", "/dev"], [], "disk: /dev can be written"),
        (["--size", str(SMALL.scratch_bytes), "--tmpfs", "/dev/shm"], ["--tmpfs", "/dev/shm"], "disk: /dev/shm holds"),
        (["--uid", "65534"], ["--uid", "1000"], "rights: it runs as user 1000"),
    ],
)
def test_a_missing_wall_is_found(confine: Confine, without, old: list[str], new: list[str], found: str) -> None:
    without(old, new)
    message = refusal(confine(MUST_NOT_RUN))
    assert message.startswith("the sandbox is not safe on this machine, so nothing was run: ")
    assert found in message


def test_a_readable_truth_is_found(confine: Confine) -> None:
    """A suite that lies in the system's folders is an example; its folder is hidden, but who knows."""
    secret = Path("/usr/lib/os-release")
    assert f"truth: {secret} can be read" in refusal(confine(MUST_NOT_RUN, secrets=(secret,)))


def test_a_readable_home_is_found(confine: Confine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/usr/share")
    assert "home: /usr/share can be listed (" in refusal(confine(MUST_NOT_RUN))


@pytest.mark.parametrize(
    ("limit", "found"),
    [("RLIMIT_NPROC", "processes: 16 processes could be started"), ("RLIMIT_AS", "memory: 268435456 bytes of memory")],
)
def test_a_missing_limit_is_found(confine: Confine, monkeypatch: pytest.MonkeyPatch, limit: str, found: str) -> None:
    whole = sandbox._resource_limits
    monkeypatch.setattr(
        sandbox, "_resource_limits", lambda limits: {k: v for k, v in whole(limits).items() if k != limit}
    )
    assert found in refusal(confine(MUST_NOT_RUN))


def test_a_missing_filter_of_system_calls_is_found(confine: Confine, monkeypatch: pytest.MonkeyPatch) -> None:
    def unfiltered(*given: object) -> list[str]:
        words = arguments(*given)
        place = words.index("--seccomp")
        return [*words[:place], *words[place + 2 :]]

    monkeypatch.setattr(sandbox, "arguments", unfiltered)
    assert "rights: privileges can be gained or system calls are not filtered" in refusal(confine(MUST_NOT_RUN))


def test_an_inherited_file_is_found(tmp_path: Path) -> None:
    with (tmp_path / "left-open").open("w"):
        assert "left-open" in inside._descriptors(channel=999)


def test_without_bubblewrap_nothing_runs(confine: Confine, monkeypatch: pytest.MonkeyPatch) -> None:
    confinement = confine(MUST_NOT_RUN)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "the sandbox needs bwrap, which is not on this machine: install bubblewrap" in refusal(confinement)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["bwrap", "--no-such-option"], "could not be started (bwrap: Unknown option --no-such-option)"),
        (["/bin/false"], "could not be started ("),
        (["/no/such/program"], "could not be started ([Errno 2]"),
        (["/bin/sleep", "30"], "could not be started (timed out)"),
    ],
)
def test_a_sandbox_that_does_not_start_is_refused(
    confine: Confine, monkeypatch: pytest.MonkeyPatch, command: list[str], found: str
) -> None:
    command = [shutil.which(command[0]) or command[0], *command[1:]]
    monkeypatch.setattr(sandbox, "arguments", lambda *_: command)
    monkeypatch.setattr(sandbox, "_START_S", 0.5)
    message = refusal(confine(MUST_NOT_RUN))
    assert found in message
    assert "nothing was run" in message


def test_an_answer_that_is_no_answer_is_refused(confine: Confine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "receive", lambda sock: (inside.receive(sock), [1])[1])
    assert "could not be started" in refusal(confine(MUST_NOT_RUN))


@needs_root
def test_root_becomes_an_ordinary_user(confine: Confine) -> None:
    with Sandbox(confine("import time; time.sleep(20)")) as running:
        last = tree(running._process.pid)
        users = {Path(f"/proc/{pid}/status").read_text().split("Uid:\t")[1].split()[0] for pid in last[2:]}
    assert users == {str(ORDINARY_USER)}


@needs_root
def test_root_may_name_the_user_but_not_itself(confine: Confine) -> None:
    assert "does not run as root, because root has no process limits" in refusal(confine(MUST_NOT_RUN, user=0))
    with Sandbox(confine("import time; time.sleep(20)", user=65012)) as running:
        status = Path(f"/proc/{tree(running._process.pid)[-1]}/status").read_text()
    assert "Uid:\t65012" in status


def test_only_root_becomes_another_user(confine: Confine, monkeypatch: pytest.MonkeyPatch) -> None:
    confinement = confine(MUST_NOT_RUN, user=65012)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(SvebError, match="cannot run as user 65012: only root can become another user"):
        arguments(confinement, 3, 4)


ORDINARY = """
import io, os, sys
from pathlib import Path
from sveb.sandbox.bwrap import Confinement
from sveb.sandbox.confined_python import Python, copy_code
from sveb.sandbox.sandbox import Sandbox
python, stream = Python(), io.StringIO()
confinement = Confinement(
    python.probes, python.command("-c", "import os; print('user', os.getuid())"),
    (*python.binds, copy_code((), Path(sys.argv[1]) / "inside")), secrets=(Path("/etc/passwd"),),
    environment=tuple(python.environment.items()),
)
with Sandbox(confinement, stream) as sandbox:
    sandbox.wait(60)
    sandbox.end()
print(os.getuid(), stream.getvalue())
"""


@needs_root
@pytest.mark.usefixtures("bubblewrap")
def test_an_ordinary_user_gets_the_same_walls() -> None:
    """All probes hold when the harness itself is no root (with the system's Python, which everybody can read)."""
    python = Path("/usr/bin/python3")
    version = subprocess.run([python, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True)
    if version.stdout.strip() != b"True":
        missing("no system Python of version 3.11 or newer at /usr/bin/python3")
    folder = Path(f"/tmp/sveb-ordinary-{os.getpid()}")
    try:
        for room in ("sandbox", "common"):
            shutil.copytree(ROOM / room, folder / "sveb" / room)
        shutil.copy(ROOM / "__init__.py", folder / "sveb")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65013, 65013)
            path.chmod(0o755)
        done = subprocess.run(
            [python, "-P", "-c", ORDINARY, folder], env={"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]},
            user=65013, group=65013, extra_groups=[], capture_output=True, text=True, cwd="/",
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    assert done.stdout.strip() == "65013 | user 65534", done.stderr


HARNESS = """
from pathlib import Path
from sveb.sandbox.bwrap import Confinement
from sveb.sandbox.confined_python import Python, copy_code
from sveb.sandbox.sandbox import Sandbox
python = Python()
code = copy_code((), Path({folder!r}))
with Sandbox(Confinement(python.probes, python.command("-c", {program!r}), (*python.binds, code))) as sandbox:
    print("started", flush=True)
    sandbox.wait(60)
"""


def running(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.parent.name] if mark.encode() in path.read_bytes() else []
        except OSError:
            continue
    return found


@pytest.mark.usefixtures("bubblewrap")
def test_killing_the_harness_ends_what_it_confined(tmp_path: Path) -> None:
    mark = f"sleeper-{os.getpid()}"
    program = f"import os, time\nos.execv('/bin/sleep', ['{mark}', '1000'])"
    text = HARNESS.format(folder=str(tmp_path / "c"), program=program)
    harness = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    assert harness.stdout is not None
    assert harness.stdout.readline() == b"started\n"
    while not running(mark):
        time.sleep(0.05)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    harness.stdout.close()
    while running(mark):
        time.sleep(0.05)
