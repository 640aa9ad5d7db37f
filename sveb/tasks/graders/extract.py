"""Where a response's answer stands."""

from __future__ import annotations

import re
from collections.abc import Callable

Extract = Callable[[str], str | None]

_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:\n|^)[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)


def after_hashes(text: str) -> str | None:
    """What stands on the line after the last `####`; None where there is none."""
    _, mark, tail = text.rpartition("####")
    return tail.strip().split("\n")[0].strip() if mark else None


def last_boxed(text: str) -> str | None:
    r"""The content of the last balanced `\boxed{...}`; None where there is none."""
    for match in reversed(list(re.finditer(r"\\boxed\s*\{", text))):
        depth = 1
        for place in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                return text[match.end() : place].strip()
    return None


def last_code(text: str) -> str | None:
    """The content of the last closed block between lines of three backticks; None where there is none."""
    blocks = _FENCE.findall(text)
    return str(blocks[-1]) if blocks else None


EXTRACTORS: dict[str, Extract] = {"hashes": after_hashes, "boxed": last_boxed, "code": last_code}
