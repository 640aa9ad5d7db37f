"""Shows what confined code prints, clearly marked: limited in size, without control characters, each line marked."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from typing import TextIO

MARK = "| "  # so that no foreign line looks like a line from sveb or like a command to a CI system
_CHUNK = 65536
_LONGEST_LINE = 4096
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str, most: int) -> str:
    """`text` without terminal and bidirectional control characters, cut to `most` characters."""
    safe = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return safe if len(safe) <= most else safe[:most] + " ... (cut)"


class Relay:
    """Reads a pipe to its end in a separate thread, so that large output never blocks and never fills memory.

    The first `most` bytes go to `stream` line by line; `text` keeps the first few KB for error messages.
    """

    def __init__(self, descriptor: int, most: int, stream: TextIO) -> None:
        self._descriptor, self._most, self._stream = descriptor, most, stream
        self.text = ""
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Waits until everything that was printed has been read."""
        self._thread.join(timeout)

    def _run(self) -> None:
        shown, line = 0, b""
        with open(self._descriptor, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor, not a path
            while chunk := pipe.read(_CHUNK):
                part = chunk[: max(self._most - shown, 0)]
                shown += len(part)
                self.dropped += len(chunk) - len(part)
                *lines, line = (line + part).split(b"\n")
                for each in lines:
                    self._show(each)
                while len(line) > _LONGEST_LINE:
                    self._show(line[:_LONGEST_LINE])
                    line = line[_LONGEST_LINE:]
        if line:
            self._show(line)
        if self.dropped:
            self._write(f"({self.dropped} more bytes of output were dropped)")

    def _show(self, line: bytes) -> None:
        text = clean(line.decode(errors="replace"), _LONGEST_LINE)
        if len(self.text) < _LONGEST_LINE:
            self.text += text + "\n"
        self._write(text)

    def _write(self, text: str) -> None:
        # A closed standard error is no reason to stop reading: the other side would block.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{MARK}{text}{os.linesep}")
            self._stream.flush()
