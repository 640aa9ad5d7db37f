r"""Mathematical expressions: math-verify on the content of the last `\boxed{}`.

The gold stands between dollar signs: bare, math-verify fails to read every fifth answer of MATH.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

_LIMIT_S = 5  # of one parse, of one comparison; the pool's own limit is above both


def readable(answer: str) -> bool:
    """Whether math-verify can read this reference."""
    return bool(_parse(_gold(answer)))


def same_expression(answer: str, found: str) -> float | None:
    """1.0 if both are the same expression, 0.0 if not; None if `answer` cannot be read.

    Evaluates what the response wrote, which may take for ever: call it in a process that can be killed.
    """
    from math_verify import verify  # type: ignore[import-untyped]

    gold = _parse(_gold(answer))
    if not gold:
        return None
    return float(verify(gold, _parse(rf"\boxed{{{found}}}"), timeout_seconds=_limit()))


def _gold(answer: str) -> str:
    return answer if "$" in answer.replace(r"\$", "") else f"${answer}$"


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    # It warns of every expression that it cannot read, and of being without a limit in a thread.
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    return list(parse(text, parsing_timeout=_limit()))


def _limit() -> int | None:
    # math-verify's limits are signals, which only the main thread receives.
    return _LIMIT_S if threading.current_thread() is threading.main_thread() else None
