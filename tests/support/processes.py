"""Waiting for processes that are not our children."""

from __future__ import annotations

import os
import select
from contextlib import suppress


def wait_for_end(pid: int) -> None:
    """Returns when the process has ended; at once if there is none."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            select.select([handle], [], [])
        finally:
            os.close(handle)
