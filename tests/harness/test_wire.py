import json
import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sveb.harness.wire import Channel, ClosedError, WireError


def pair(limit: int = 2**20) -> tuple[Channel, Channel]:
    left, right = socket.socketpair()
    return Channel(left, limit), Channel(right, limit)


def raw(header: bytes, payload: bytes = b"", limit: int = 2**20) -> Channel:
    """A channel whose other side has sent these bytes and gone."""
    left, right = socket.socketpair()
    left.sendall(struct.pack("<I", len(header)) + header + payload)
    left.close()
    return Channel(right, limit)


def header(dtype: object, shape: object) -> bytes:
    return json.dumps({"op": "x", "body": {}, "arrays": [[dtype, shape]]}).encode()


@given(
    st.lists(
        st.sampled_from(["<i4", "<i8", "<f4", "<f8"]).flatmap(
            lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4))
        ),
        max_size=3,
    ),
    st.dictionaries(st.text(), st.text()),
)
def test_a_message_arrives_as_it_was_sent(arrays: list[np.ndarray], body: dict[str, str]) -> None:
    left, right = pair()
    left.send("op", body, arrays)
    message = right.receive()
    assert (message.op, message.body) == ("op", body)
    assert len(message.arrays) == len(arrays)
    for sent, found in zip(arrays, message.arrays, strict=True):
        assert sent.dtype == found.dtype
        np.testing.assert_array_equal(sent, found)


def test_a_strided_array_arrives_in_its_own_order() -> None:
    left, right = pair()
    left.send("op", arrays=[np.arange(6).reshape(2, 3).T])
    assert right.receive().arrays[0].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(header("|O", [1]), id="objects would be unpickled"),
        pytest.param(header("<f8", [-1]), id="negative length"),
        pytest.param(header("<f8", [True]), id="a length that is no integer"),
        pytest.param(header("<f8", [1, 1, 1]), id="three dimensions"),
        pytest.param(header("<f8", 3), id="a shape that is not a list"),
        pytest.param(header(["<f8"], [1]), id="an unhashable dtype"),
        pytest.param(header("<f8", [2**40]), id="larger than the limit"),
        pytest.param(header("<f8", [2**62, 2**62]), id="a product beyond 64 bits"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b'{"op": 1, "body": {}, "arrays": []}', id="an op that is not a name"),
    ],
)
def test_nonsense_is_refused_before_anything_is_allocated(bad: bytes) -> None:
    with pytest.raises(WireError):
        raw(bad).receive()


def test_a_long_header_is_refused_unread() -> None:
    with pytest.raises(WireError, match="at most 100"):
        raw(b" " * 101, limit=100).receive()


def test_a_message_cut_off_in_its_array_is_a_closed_channel() -> None:
    with pytest.raises(ClosedError):
        raw(header("<f8", [2]), b"\0" * 9).receive()


def test_sending_to_one_who_has_gone_is_a_closed_channel() -> None:
    left, right = pair()
    right.close()
    with pytest.raises(ClosedError):
        left.send("op", arrays=[np.zeros(100_000)])


def test_numbers_that_json_cannot_hold_are_not_sent() -> None:
    left, _ = pair()
    with pytest.raises(ValueError, match="JSON"):
        left.send("op", {"x": float("nan")})
