"""The sandbox's parts, each by itself."""

import errno
import io
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.sandbox.confined_python import installed_copies
from sveb.sandbox.foreign_output import Relay, clean
from sveb.sandbox.limits import Limits
from sveb.sandbox.process_watch import Watch, tree, use
from sveb.sandbox.seccomp import program

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
X86, ARM = 0xC000003E, 0xC00000B7


def verdict(machine: str, architecture: int, number: int) -> int:
    """What the kernel's interpreter of the filter would answer."""
    steps = list(struct.iter_unpack("HBBI", program(machine)))
    place, value = 0, 0
    while True:
        code, yes, no, k = steps[place]
        place += 1
        if code == 0x20:
            value = {0: number, 4: architecture}[k]
        elif code == 0x15:
            place += yes if value == k else no
        elif code == 0x35:
            place += yes if value >= k else no
        else:
            assert code == 0x06
            return int(k)


def test_the_filter_refuses_what_it_names_and_nothing_else() -> None:
    x86 = {n for n in range(600) if verdict("x86_64", X86, n) == REFUSE}
    assert x86 == {29, 64, 68, 101, 240, 248, 249, 250, 298, 310, 311, 319, 321, 323, 425, 447}
    arm = {n for n in range(600) if verdict("aarch64", ARM, n) == REFUSE}
    assert arm == {117, 180, 186, 190, 194, 217, 218, 219, 241, 270, 271, 279, 280, 282, 425, 447}
    assert {verdict("x86_64", X86, n) for n in set(range(600)) - x86} == {ALLOW}


def test_the_filter_knows_no_other_numbering() -> None:
    assert verdict("x86_64", X86, 0x40000000 + 1) == REFUSE
    assert verdict("x86_64", 0x40000003, 1) == KILL  # 32-bit calls


def test_a_machine_without_a_filter_is_refused() -> None:
    with pytest.raises(SvebError, match="does not support riscv64 machines: expected one of x86_64, aarch64"):
        program("riscv64")


def test_foreign_text_loses_its_control_characters_and_its_length() -> None:
    assert clean("a\tb\nc\x1b[2J\r\x00\ud800\u202ed", 100) == "a\tb\nc�[2J����d"
    assert clean("x" * 11, 10) == "x" * 10 + " ... (cut)"
    assert clean("naïve – 値", 100) == "naïve – 値"


def relayed(sent: bytes, most: int) -> str:
    reading, writing = os.pipe()
    stream = io.StringIO()
    relay = Relay(reading, most, stream)
    os.write(writing, sent)
    os.close(writing)
    relay.join(60)
    return stream.getvalue()


def test_output_is_shown_line_by_line_and_marked() -> None:
    assert relayed(b"one\n::warning::two\nlast", 100) == "| one\n| ::warning::two\n| last\n"


def test_output_beyond_the_limit_is_counted() -> None:
    assert relayed(b"abcdef", 4) == "| abcd\n| (2 more bytes of output were dropped)\n"


def test_a_closed_terminal_does_not_stop_the_reading() -> None:
    reading, writing = os.pipe()
    stream = io.StringIO()
    stream.close()
    relay = Relay(reading, 100, stream)
    os.write(writing, b"x\n" * 30_000)  # more than a pipe holds, if nobody reads
    os.write(writing, b"x\n" * 30_000)
    os.close(writing)
    relay.join(60)
    assert relay.dropped == 119_900


CHILD = "import os, time; pid = os.fork(); kept = b'x' * {size}; print(flush=True); time.sleep({sleep})"


@pytest.fixture
def family():
    """A process with one child; both hold memory and wait."""
    started = []

    def start(size: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(size=size, sleep=20)], stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        return process

    yield start
    for process in started:
        os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


def test_use_is_that_of_all_descendants(family) -> None:
    process = family(50 * 2**20)
    assert len(tree(process.pid)) == 2
    found = use(process.pid)
    assert 100 * 2**20 <= found.resident_bytes < 160 * 2**20
    assert 50 * 2**20 <= found.peak_bytes < 100 * 2**20
    assert found.cpu_s > 0


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        (Limits(memory_bytes=80 * 2**20), "held more than 80 MiB of memory"),
        (Limits(wall_s=0.2), "ran for more than 0.2 s"),
        (Limits(cpu_s=0.0), "used more than 0 s of CPU time"),
    ],
)
def test_the_watch_ends_what_exceeds_its_limits(family, limits: Limits, verdict: str) -> None:
    process, ended = family(50 * 2**20), []
    watch = Watch(process.pid, limits, lambda: ended.append(1))
    while not ended:
        time.sleep(0.02)
    watch.stop()
    assert watch.verdict == verdict
    assert ended == [1]


def test_the_watch_leaves_alone_what_keeps_to_them(family) -> None:
    process = family(2**20)
    watch = Watch(process.pid, Limits(), lambda: pytest.fail("ended"))
    while watch.peak_bytes == 0:  # until it has looked
        time.sleep(0.02)
    watch.stop()
    assert watch.verdict is None


def test_other_installed_copies_are_found_with_whatever_python(tmp_path: Path) -> None:
    """A copy of the package in the interpreter's own site-packages holds the embedded truth once more."""
    for place in ("lib/python3.11/site-packages", "lib/python3/dist-packages", "local/lib/python3.12/dist-packages"):
        (tmp_path / place / "sveb").mkdir(parents=True)
    assert len(installed_copies([tmp_path, tmp_path / "nothing"])) == 3
