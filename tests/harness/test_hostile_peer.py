"""What the harness makes of an estimator's process that sends whatever it likes."""

import json
import socket
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.harness import forward_passes as forward
from sveb.harness.forward_passes import Forward, RefusedError
from sveb.harness.policy_server import Broker
from sveb.harness.untrusted_identity import fault, identity
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import Channel, ClosedError, Message, WireError
from sveb.harness.worker_process import ended
from tests.harness.sets import show_all

LIMIT = 2**16
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def received(sent: bytes, header_limit: int = LIMIT) -> Message:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(sent)
        left.shutdown(socket.SHUT_WR)
        return Channel(right, LIMIT, header_limit).receive()


def framed(header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("<I", len(header)) + header + payload


@given(st.binary(max_size=200))
def test_bytes_without_sense_are_refused_or_an_end(sent: bytes) -> None:
    with pytest.raises((WireError, ClosedError)):
        received(sent)


@given(JSON)
def test_json_without_sense_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        received(framed(json.dumps(value).encode()))


@given(st.lists(st.tuples(JSON, JSON), max_size=3))
def test_arrays_without_sense_are_refused_or_made(arrays: list[tuple[object, object]]) -> None:
    header = {"op": "x", "body": {}, "arrays": arrays}
    try:
        message = received(framed(json.dumps(header).encode(), bytes(1000)))
    except (WireError, ClosedError):
        return
    assert all(isinstance(array, np.ndarray) for array in message.arrays)


@pytest.mark.parametrize("shape", [{}, "", [0, 2**62], [2**31, 2**31], [1.0], [[1]], None])
def test_shapes_that_numpy_would_stumble_over_are_refused(shape: object) -> None:
    header = {"op": "x", "body": {}, "arrays": [["<f8", shape]]}
    with pytest.raises(WireError):
        received(framed(json.dumps(header).encode(), bytes(8)))


def test_a_long_header_is_refused_though_arrays_may_be_longer() -> None:
    header = json.dumps({"op": "x", "body": {"text": "x" * 200}, "arrays": [["<f8", [1000]]]}).encode()
    with pytest.raises(WireError, match=r"a header of 2\d\d bytes, at most 100 are read"):
        received(framed(header, bytes(8000)), header_limit=100)
    assert received(framed(header, bytes(8000)), header_limit=300).arrays[0].shape == (1000,)


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(WireError, match="NaN is not JSON"):
        received(framed(b'{"op": "x", "body": {"k": NaN}, "arrays": []}'))


def test_a_refusal_quotes_little_of_what_was_sent() -> None:
    header = {"op": "x", "body": {}, "arrays": [["\x1b\ud800" * 1000, [1]]]}
    with pytest.raises(WireError) as caught:
        received(framed(json.dumps(header).encode()))
    assert len(str(caught.value)) < 300
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


CLAIM = st.fixed_dictionaries(
    {},
    optional={
        "name": SCALARS | JSON, "description": SCALARS | JSON, "fits": st.booleans() | JSON,
        "params": st.dictionaries(st.text(st.characters(codec=None), max_size=3), SCALARS | JSON, max_size=3) | JSON,
    },
)  # fmt: skip


@given(CLAIM)
def test_an_identity_is_refused_or_fit_for_a_results_file(claim: dict[str, object]) -> None:
    try:
        found = identity(Message("loaded", claim))
    except WireError:
        return
    text = json.dumps([found.name, found.params, found.description], allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert found.fits is claim["fits"]


def test_an_identity_of_any_length_is_cut() -> None:
    claim = {"name": "n" * 10**6, "description": "d" * 10**6, "params": {"k": "v" * 10**6}, "fits": False}
    found = identity(Message("loaded", claim))
    assert max(map(len, [found.name, found.description, found.params["k"]])) < 3000
    with pytest.raises(WireError, match="not 100 plain values at most"):
        identity(Message("loaded", claim | {"params": {str(number): 0 for number in range(101)}}))


@given(JSON)
def test_a_fault_is_printable_whatever_it_is(value: object) -> None:
    text = fault(Message("failed", {"message": value}))
    text.encode("utf-8")
    assert "\x1b" not in text


@pytest.fixture
def broker(suite) -> Broker:
    found = Broker(suite, Inputs(suite, 0))
    show_all(found)
    return found


@pytest.mark.parametrize("k", [0, -1, 5, 2**31, 10**12, 10**30])
def test_draws_that_the_suite_has_not_are_refused(broker: Broker, k: int) -> None:
    with pytest.raises(RefusedError, match="draws per state were asked for: expected 1 to 4"):
        broker.answer(Message("draws", {"k": k}, [np.array([0])]))


def test_draws_of_no_states_take_no_memory_however_many(broker: Broker) -> None:
    none = np.empty(0, np.int64)
    assert broker.answer(Message("draws", {"k": 2**31}, [none]))[1][0].shape == (0, 2**31)
    with pytest.raises(RefusedError, match="draws per state were asked for"):
        broker.answer(Message("draws", {"k": 10**30}, [none]))


def test_a_question_names_no_more_states_than_there_are(broker: Broker) -> None:
    assert broker.answer(Message("draws", {"k": 1}, [np.arange(15)]))[1][0].shape == (15, 1)
    with pytest.raises(WireError, match="draws: 16 states at once, there are 15"):
        broker.answer(Message("draws", {"k": 1}, [np.zeros(16, np.int64)]))


def test_a_question_reads_no_more_tokens_than_fit_into_memory(suite, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SimpleNamespace(
        hidden_states=lambda sequences, layer: [np.zeros((len(s), 2), np.float32) for s in sequences],  # noqa: ARG005
        logprobs=lambda sequences: [np.zeros(len(s) - 1, np.float32) for s in sequences],
    )
    monkeypatch.setattr(Forward, "_policy", policy)
    monkeypatch.setattr(forward, "_MOST_TOKENS", 10)
    reader = Forward(suite.manifest)
    ten, eleven = np.zeros(10, np.int32), np.zeros(11, np.int32)
    assert reader.hidden_at([ten], [np.array([10])], 0)[0].shape == (1, 2)
    assert len(reader.logprobs([ten], [1])[0]) == 9
    with pytest.raises(RefusedError, match="11 tokens at once, at most 10 are read: ask for fewer states"):
        reader.hidden_at([eleven], [np.array([11])], 0)
    with pytest.raises(RefusedError, match="11 tokens at once"):
        reader.logprobs([eleven], [1])
    with pytest.raises(RefusedError, match="20 tokens at once"):  # one sequence, but its states are sent twice
        reader.hidden_at([ten, ten], [np.arange(1, 11)] * 2, 0)


def test_deaths_are_named_by_signal_or_code() -> None:
    assert "killed by SIGSEGV before" in str(ended(-11))
    assert "killed by signal 35 before" in str(ended(-35))
    assert "often the machine has run out of memory" in str(ended(-9))
    assert "ended with exit code 3 before" in str(ended(3))
