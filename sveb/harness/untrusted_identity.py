"""What an estimator's process says about itself. It is foreign text, and is checked and cleaned here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sveb.harness.wire import Message, WireError
from sveb.sandbox.foreign_output import clean

_MOST_NAME = 200
_MOST_TEXT = 2000
_MOST_FAULT = 8000
_MOST_PARAMS = 100
_MOST_INTEGER = 2**63


@dataclass(frozen=True)
class Identity:
    """How the estimator describes itself. `params` are None, booleans, finite numbers and text."""

    name: str
    params: dict[str, Any]
    description: str
    fits: bool


def identity(message: Message) -> Identity:
    """Checks the message `loaded`. Raises WireError if it is not what the worker sends."""
    body = message.body
    name, params, text, fits = (body.get(key) for key in ("name", "params", "description", "fits"))
    if not (isinstance(name, str) and isinstance(text, str) and type(fits) is bool and isinstance(params, dict)):
        raise WireError("its identity is malformed: expected name, params, description and fits")
    if len(params) > _MOST_PARAMS or not all(map(_is_plain, params.values())):
        raise WireError(f"its parameters are not {_MOST_PARAMS} plain values at most")
    return Identity(
        clean(name, _MOST_NAME),
        {clean(key, _MOST_NAME): _cleaned(value) for key, value in params.items()},
        clean(text, _MOST_TEXT),
        fits,
    )


def fault(message: Message) -> str:
    """The message `failed`: what went wrong in the estimator's code."""
    return clean(str(message.body.get("message")), _MOST_FAULT)


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or type(value) in (bool, str) or (type(value) is int and abs(value) < _MOST_INTEGER)


def _cleaned(value: Any) -> Any:
    return clean(value, _MOST_TEXT) if isinstance(value, str) else value
