"""The server engine: the tokens of offline vLLM, whatever the server would do by itself; and every way it can fail."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.seeds import seeds
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.reporter import SilentReporter
from sveb.policies.engines import load_policy
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.policies.server_engine import API_KEY
from sveb.suite.manifest import Manifest
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task
from tests.policies.conftest import REPEATED, assert_same_tables

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=120)


class Relay(ThreadingHTTPServer):
    """Stands before the real server and fails as real ones do; counts the completions that it let through."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.served = self.refused = 0
        self.busy_first, self.dies_after, self.key, self.strips = 0, 10**9, "", False
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Relay
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass(None)

    def do_POST(self) -> None:
        self._pass(self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *_: object) -> None: ...

    def _pass(self, body: bytes | None) -> None:
        relay = self.server
        with relay.lock:
            relay.served += body is not None
            dead = relay.served > relay.dies_after
            busy = body is not None and relay.refused < relay.busy_first
            relay.refused += busy
        if dead:
            self.close_connection = True
            return None
        if relay.key and self.headers.get("authorization") != f"Bearer {relay.key}":
            return self._answer(401, b'{"error": {"message": "no"}}')
        if busy:
            return self._answer(503, b'{"error": {"message": "overloaded"}}')
        upstream = http.client.HTTPConnection(relay.upstream)
        upstream.request(self.command, self.path, body, {"content-type": "application/json"})
        reply = upstream.getresponse()
        content = reply.read()
        if relay.strips and body is not None:
            told = json.loads(content)
            for choice in told["choices"]:
                del choice["token_ids"]
            content = json.dumps(told).encode()
        return self._answer(reply.status, content)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Account(SilentReporter):
    """Sums over the stages how many continuations there are, and how many an earlier run had finished."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.kept = 0

    def stage(self, name: str, total: int, done: int) -> None:
        super().stage(name, total, done)
        self.total += total
        self.kept += done


@pytest.fixture
def relay(nano_server: str) -> Iterator[Relay]:
    server = Relay(nano_server)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def nano_served(nano_server: str) -> Iterator[Policy]:
    policy = load_policy("nano", "server", server_url=nano_server)
    yield policy
    policy.close()


def asked_of(policy: Policy, n: int, copies: int) -> list[SampleRequest]:
    task = Task.load("ledger")
    prompts = [policy.codec.render(task.messages(p)) for p in load_problems(task, 0, n, seed=5).test]
    numbers = seeds(7, np.arange(n * copies))
    return [
        SampleRequest((i, k), prompt, int(numbers[i * copies + k]), 4 if k == 0 else 120)
        for i, prompt in enumerate(prompts)
        for k in range(copies)
    ]


def drawn(policy: Policy, asked: list[SampleRequest]) -> dict[object, tuple[list[int], str]]:
    return {c.key: (c.token_ids.tolist(), c.finish_reason) for c in policy.sample(iter(asked), SAMPLING)}


def test_a_server_with_defaults_of_its_own_draws_the_tokens_of_offline_vllm(
    nano_served: Policy, nano_vllm: Policy
) -> None:
    """The fixture's checkpoint says top_k 1, temperature .01, repetition_penalty 1.5: one omitted field would show."""
    asked = asked_of(nano_vllm, 12, 8)
    expected = drawn(nano_vllm, asked)
    assert drawn(nano_served, asked) == expected
    assert {reason for _, reason in expected.values()} == {"stop", "length"}
    assert len({tuple(tokens) for tokens, _ in expected.values()}) > 60


def test_greedy_and_a_nucleus_reach_the_server_too(nano_served: Policy, nano_vllm: Policy) -> None:
    asked = asked_of(nano_vllm, 4, 4)
    for sampling in (Sampling(0.0, 1.0, 120), Sampling(0.7, 0.8, 120)):
        both = [
            {c.key: c.token_ids.tolist() for c in policy.sample(asked, sampling)} for policy in (nano_served, nano_vllm)
        ]
        assert both[0] == both[1]


def test_requests_are_pulled_as_answers_come(nano_served: Policy) -> None:
    one = asked_of(nano_served, 1, 1)[0]
    pulled = 0

    def endless() -> Iterator[SampleRequest]:
        nonlocal pulled
        while True:
            pulled += 1
            yield replace(one, key=pulled, seed=pulled)

    answers = nano_served.sample(endless(), SAMPLING)
    for count in range(1, 401):
        next(answers)
        assert pulled < count + 300
    answers.close()  # type: ignore[attr-defined]
    assert set(drawn(nano_served, [one])) == {one.key}


def test_the_same_suite_as_vllms_though_the_server_died_once(
    relay: Relay, nano_server: str, vllm_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sveb.policies.server_engine._RETRIES", 1)
    settings = Settings("nano", tmp_path / "by-vllm", REPEATED, engine="server", server_url=relay.url)
    relay.dies_after = 300
    with pytest.raises(SvebError, match=r"no answer from the server at .* what was finished is kept"):
        generate(settings, SilentReporter())
    assert list((settings.out / "work").rglob("*.parquet"))
    second = Account()
    generate(replace(settings, server_url=nano_server), second)
    by_server, by_vllm = Manifest.read(settings.out), Manifest.read(vllm_suite)
    assert by_server.statistics == by_vllm.statistics
    assert_same_tables(settings.out, vllm_suite)
    assert second.kept > 0
    assert second.continuations == second.total - second.kept, "what was finished is not asked for again"
    told = by_server.policy
    assert (told["engine"], told["engine_version"]) == ("server", by_vllm.policy["engine_version"])
    assert told["served_as"] == {"id": "nano", "owned_by": "vllm"}
    assert told["codec"] == by_vllm.policy["codec"]


def test_a_busy_server_is_asked_again(relay: Relay, nano_vllm: Policy) -> None:
    policy = load_policy("nano", "server", server_url=relay.url)
    relay.busy_first = 5
    asked = asked_of(nano_vllm, 3, 4)
    assert drawn(policy, asked) == drawn(nano_vllm, asked)
    assert relay.refused == 5
    policy.close()


def test_a_server_with_a_key_wants_it(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    relay.key = "open sesame"
    with pytest.raises(SvebError, match=f"refuses the key.*{API_KEY}"):
        load_policy("nano", "server", server_url=relay.url)
    monkeypatch.setenv(API_KEY, relay.key)
    load_policy("nano", "server", server_url=relay.url).close()


def test_what_a_server_cannot_do_is_said_before_anything_is_drawn(
    relay: Relay, nano_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SvebError, match=r"serves nano \(weights\), not package:nano-early: .*--served-model-name"):
        load_policy("nano-early", "server", server_url=nano_server)
    with pytest.raises(SvebError, match=r"expected http://host:port"):
        load_policy("nano", "server", server_url="localhost:8000")
    with pytest.raises(SvebError, match="has no such page"):
        load_policy("nano", "server", server_url=nano_server.replace("/v1", "/other/v1"))
    relay.strips = True
    with pytest.raises(SvebError, match="returns no token ids"):
        load_policy("nano", "server", server_url=relay.url)
    monkeypatch.setattr("sveb.policies.server_engine._RETRIES", 0)
    with pytest.raises(SvebError, match=r"no answer from the server at http://127.0.0.1:9/v1 after 1 attempts"):
        load_policy("nano", "server", server_url="http://127.0.0.1:9")


def test_a_context_that_is_too_short_is_an_error_not_a_shorter_response(nano_served: Policy) -> None:
    with pytest.raises(SvebError, match=r"answers 400: .*512"):
        list(nano_served.sample([SampleRequest(0, [5] * 600, 1, 100)], SAMPLING))
    with pytest.raises(SvebError, match=r"after \d+ of 100 tokens: its context is too short for a prompt of 500"):
        list(nano_served.sample([SampleRequest(0, [5] * 500, k, 100) for k in range(20)], SAMPLING))
    with pytest.raises(SvebError, match=r"need 513 tokens and nano holds 512"):
        load_policy("nano", "server", server_url="http://127.0.0.1:9", max_model_len=513)
