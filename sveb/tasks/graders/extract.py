"""Where a response's answer stands."""

from __future__ import annotations

import re
from collections.abc import Callable

Extract = Callable[[str], str | None]

_BRACES = re.compile(r"(\\boxed\s*\{)|\\.|[{}]", re.DOTALL)
_PYTHON = ("python", "python3", "py")


def after_hashes(text: str) -> str | None:
    """What stands on the line after the last `####`; None where there is none."""
    _, mark, tail = text.rpartition("####")
    return tail.strip().split("\n")[0].strip() if mark else None


def last_boxed(text: str) -> str | None:
    r"""The content of the last balanced `\boxed{...}`, the inner one of two nested; None where there is none.

    `\{` and `\}` are signs of a set and balance nothing.
    """
    first, found = -1, None
    opened: list[int | None] = []
    for match in _BRACES.finditer(text):
        if match[0] == "}":
            start = opened.pop() if opened else None
            if start is not None and start > first:
                first, found = start, text[start : match.start()].strip()
        elif match[1] or match[0] == "{":
            opened.append(match.end() if match[1] else None)
    return found


def last_code(text: str) -> str | None:
    """The last closed block between lines of three backticks that says it is Python, else the last closed one."""
    found: dict[bool, str] = {}
    language: str | None = None
    block: list[str] = []
    for line in text.split("\n"):
        mark = line.strip()
        if language is None:
            if mark.startswith("```") and "`" not in mark[3:]:
                language, block = mark[3:].strip().lower(), []
        elif mark == "```":
            found[language in _PYTHON] = "\n".join(block)
            language = None
        else:
            block.append(line)
    return found.get(True, found.get(False))


EXTRACTORS: dict[str, Extract] = {"hashes": after_hashes, "boxed": last_boxed, "code": last_code}
