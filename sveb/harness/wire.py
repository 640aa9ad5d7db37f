"""Messages between the harness and an estimator's process, over one socket.

    message = header length (uint32, little endian) | header (JSON, UTF-8) | the arrays' raw bytes, in turn
    header  = {"op": name, "body": {...}, "arrays": [[dtype, shape], ...]}

Nothing is ever unpickled: the worst that a hostile sender can do is to send a message that is refused here.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sveb.common.text import shortened

Array = npt.NDArray[Any]
Reply = tuple[dict[str, Any], list[Array]]  # body and arrays

_LENGTH = struct.Struct("<I")
_DTYPES = frozenset({"<i4", "<i8", "<f4", "<f8"})
_MAX_DIMENSIONS = 2
_LONGEST = 2**31  # of one dimension: with two, numpy can still count the bytes


def join(arrays: Sequence[Array], dtype: type[np.generic], width: int | None = None) -> list[Array]:
    """Arrays as one, and the length of each. `width` is that of rows, for the case that there is no array."""
    empty = np.empty(0 if width is None else (0, width))
    flat = np.concatenate(arrays) if arrays else empty
    return [flat.astype(dtype, copy=False), np.array([len(array) for array in arrays], dtype=np.int64)]


def split(flat: Array, lengths: Array) -> list[Array]:
    """The arrays that `join` made one."""
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []


class WireError(Exception):
    """The other side sent something that is not a message, or a message that is too large."""


class ClosedError(Exception):
    """The other side has closed the channel."""


@dataclass(frozen=True)
class Message:
    """The kind of message (`op`), its small values (`body`, JSON) and its arrays."""

    op: str
    body: dict[str, Any] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)


class Channel:
    """One end of the socket. Refuses to read messages of more than `limit` bytes, or `header_limit` of header."""

    def __init__(self, sock: socket.socket, limit: int, header_limit: int | None = None) -> None:
        self._socket = sock
        self._limit = limit
        self._header_limit = limit if header_limit is None else header_limit
        self.lock = threading.Lock()  # for a question and its answer, which must not be parted

    def send(self, op: str, body: dict[str, Any] | None = None, arrays: Sequence[Array] = ()) -> None:
        """Sends one message; arrays are int32, int64, float32 or float64 of at most two dimensions."""
        solid = [np.ascontiguousarray(array) for array in arrays]
        shapes = [[array.dtype.str, list(array.shape)] for array in solid]
        header = json.dumps({"op": op, "body": body or {}, "arrays": shapes}, allow_nan=False).encode()
        try:
            self._socket.sendall(_LENGTH.pack(len(header)) + header)
            for array in solid:
                if array.nbytes:
                    self._socket.sendall(array.data.cast("B"))
        except ConnectionError:
            raise ClosedError("the other side closed the channel") from None

    def receive(self) -> Message:
        """The next message. Raises ClosedError, or WireError if what comes is not a message."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > self._header_limit:
            raise WireError(f"a header of {length} bytes, at most {self._header_limit} are read")
        try:
            header = json.loads(self._read(length), parse_constant=_no_constant)
            op, body, shapes = header["op"], header["body"], header["arrays"]
            sizes = [_nbytes(dtype, shape) for dtype, shape in shapes]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise WireError(f"not a message's header: {harmless(error)}") from None
        if not isinstance(op, str) or not isinstance(body, dict):
            raise WireError("not a message's header: no op or no body")
        if length + sum(sizes) > self._limit:
            raise WireError(f"a message of {length + sum(sizes)} bytes, at most {self._limit} are read")
        arrays = [
            np.frombuffer(self._read(size), dtype=dtype).reshape(shape)
            for (dtype, shape), size in zip(shapes, sizes, strict=True)
        ]
        return Message(op, body, arrays)

    def close(self) -> None:
        """Closes this end; the other end then raises ClosedError."""
        self._socket.close()

    def _read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view, done = memoryview(buffer), 0
        while done < size:
            try:
                count = self._socket.recv_into(view[done:])
            except ConnectionError:
                count = 0
            if count == 0:
                raise ClosedError("the other side closed the channel")
            done += count
        return buffer


def harmless(value: object) -> str:
    """What a hostile sender sent, made safe for an error message: printable ASCII, at most 100 characters."""
    text = str(value) if isinstance(value, Exception) else repr(value)
    return shortened(text.encode("ascii", "backslashreplace").decode(), 100)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _nbytes(dtype: Any, shape: Any) -> int:
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"an array of dtype {harmless(dtype)}, allowed are {sorted(_DTYPES)}")
    lengths = isinstance(shape, list) and all(type(length) is int and 0 <= length <= _LONGEST for length in shape)
    if not lengths or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"an array of shape {harmless(shape)}")
    return int(math.prod(shape) * np.dtype(dtype).itemsize)
