"""What is read, and what is computed, in bounded time."""

from __future__ import annotations

from typing import Any

# Of a power's, factorial's or binomial's value; and of what they are taken of.
_MOST_BITS, _MOST_FACTORIAL = 2**21, 20_000


class UnreadableError(ValueError):
    """The text is not an expression, or one that can be read in several ways."""


class TooLargeError(Exception):
    """The value cannot be computed in bounded time: what the text says stays unknown."""


def power(base: Any, exponent: Any) -> Any:
    """base ** exponent. Raises TooLargeError where the result has too many digits."""
    if base.is_Rational and exponent.is_Rational and abs(base) != 1:
        bits = max(abs(int(base.p)).bit_length(), int(base.q).bit_length())
        if abs(exponent) * bits > _MOST_BITS:
            raise TooLargeError("a power is too large to compute")
    elif exponent.is_Rational and abs(exponent) > _MOST_FACTORIAL and base.is_number:
        raise TooLargeError("a power is too large to compute")
    return base**exponent


def bounded(value: Any) -> Any:
    """The value itself. Raises TooLargeError where a factorial or binomial of it is too large to compute."""
    if value.is_number and not value.is_infinite and abs(value) > _MOST_FACTORIAL:
        raise TooLargeError("a factorial is too large to compute")
    return value
