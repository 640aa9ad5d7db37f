"""Engines chat on stderr while they load, from C++ too. Here it is kept, and shown only if loading fails."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from sveb.common.errors import SvebError

_TAIL = 4000  # characters: enough for the traceback that matters


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Diverts file descriptor 2 inside the block; on an exception what was diverted is printed after all.

    Not on a SvebError of our own, without a cause: that says everything.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException as error:
            sys.stderr.flush()
            kept.seek(0)
            if not isinstance(error, SvebError) or error.__cause__ is not None:
                os.write(saved, kept.read()[-_TAIL:])
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
