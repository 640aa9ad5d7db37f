"""Shortens text from outside so that it fits into one line of a message."""

from __future__ import annotations

from collections.abc import Sequence


def shortened(text: str, most: int = 80) -> str:
    """The text, or its beginning and `...`, with at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_few(items: Sequence[object], most: int, separator: str = ", ") -> str:
    """The first `most` items and the number of the others: `a, b and 3 more`."""
    joint = " and" if separator == ", " else f"{separator}and"
    more = f"{joint} {len(items) - most} more" if len(items) > most else ""
    return separator.join(map(str, items[:most])) + more
