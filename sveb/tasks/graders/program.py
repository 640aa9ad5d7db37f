"""Programs: the response's code runs against the problem's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_KIND = "stdin_stdout"


def tests_fault(tests: Any) -> str | None:
    """Why these are no tests, or None.

    Tests are a list of {"input": text, "output": text, "type": "stdin_stdout"}, as the `test_cases` of
    open-r1/verifiable-coding-problems-python; the type may be left out.
    """
    if not isinstance(tests, Sequence) or isinstance(tests, str) or not tests:
        return 'expected a list of tests, each with "input" and "output"'
    for place, test in enumerate(tests):
        if not isinstance(test, Mapping):
            return f'test {place} is no table with "input" and "output"'
        if (kind := test.get("type") or _KIND) != _KIND:
            return f"test {place} is of the type {kind!r}; {_KIND} alone is known"
        for key in ("input", "output"):
            if not isinstance(test.get(key), str):
                return f'test {place}: "{key}" is no text'
    return None
