"""Errors that the user can fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SvebError(Exception):
    """Says what was expected, what was found, where, and what to do. The CLI prints it and exits 2."""


def named(error: BaseException) -> str:
    """The type and first line of an exception from other code, such as `RuntimeError: CUDA out of memory`."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> SvebError:
    """The error for an unknown name. It suggests the closest valid names, or lists all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names) or 'none'}"
    return SvebError(f"unknown {kind} {name!r}: {hint}")
