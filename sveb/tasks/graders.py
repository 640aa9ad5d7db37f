"""From a finished response to a return: extract the answer, compare it with the reference.

A grader returns 1.0 or 0.0, or None when it could not decide; None is *missing*, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

Extract = Callable[[str], str | None]
Compare = Callable[[str, str], float | None]


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


def parse_number(text: str) -> Decimal | None:
    r"""A plain number, with what people write around it (`\$1,234.50`, `75\%`, `18\text{ eggs}`); else None."""
    plain = re.sub(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}|\\[!,;: ]|\\?[$%]|\s", "", text).rstrip(".")
    if not re.fullmatch(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?", plain):
        return None
    try:
        return Decimal(plain.replace(",", ""))
    except InvalidOperation:
        return None


def same_number(answer: str, found: str) -> float | None:
    """1.0 if both are the same number; 0.0 if `found` is another or none; None if `answer` itself is no number."""
    gold = parse_number(answer)
    if gold is None:
        return None
    return float(parse_number(found) == gold)


EXTRACTORS: dict[str, Extract] = {"hashes": after_hashes, "boxed": last_boxed}
GRADERS: dict[str, Compare] = {"number": same_number}
