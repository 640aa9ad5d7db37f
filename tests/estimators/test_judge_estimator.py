"""judge: the expected digit by hand, a real server's answers, and every way in which there is none."""

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.estimators.judge import expected_digit
from sveb.estimators.registry import find
from sveb.harness.conformance.examination import check
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite
from tests.harness.reports import keeps_the_contract
from tests.support.needs import require_bubblewrap

LOG = math.log


def test_the_expected_digit_by_hand() -> None:
    """9 and 0 at .6 and .2, a word at .2: (9 * .6 / .8) / 9."""
    found = expected_digit({"9": LOG(0.6), "0": LOG(0.2), "yes": LOG(0.2)})
    assert found == pytest.approx(0.75)


def test_a_digits_spaces_are_not_part_of_the_answer_and_other_numerals_are_none() -> None:
    spaced = {" 9": LOG(0.3), "\u01200": LOG(0.1), "9\n": LOG(0.1)}
    assert expected_digit(spaced | {"12": LOG(0.2), "\u0663": LOG(0.2)}) == pytest.approx(0.8)


@pytest.mark.parametrize("logprobs", [{}, {"maybe": -0.1}, {"10": -0.1}, {"": -0.1}])
def test_no_digit_is_no_value(logprobs: dict[str, float]) -> None:
    assert expected_digit(logprobs) is None


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_real_server_is_asked_for_every_state(nano_server: str, suite: Suite, tmp_path: Path, api: str) -> None:
    """The embedded policy knows digits and nothing of judging: its answers are poor, the path is real."""
    params = {"model": "nano", "url": nano_server, "api": api}
    predictions = Predictions.read(run(suite, "judge", params, tmp_path))
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()
    assert len(np.unique(predictions.values.round(9))) > 3
    assert tuple(predictions.info.budget) == find("judge").budget
    assert predictions.info.estimator.params["url"] == nano_server


@pytest.mark.slow
def test_it_keeps_the_contract(nano_server: str) -> None:
    keeps_the_contract(check("judge", {"model": "nano", "url": nano_server}))


def test_a_model_that_the_server_does_not_have_is_told(nano_server: str, suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=r"judge: http.* has no such model or path: .*nobody"):
        run(suite, "judge", {"model": "nobody", "url": nano_server}, tmp_path)


def test_a_url_where_nothing_answers_is_told(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=r"judge: nothing answers at http://127\.0\.0\.1:9/v1"):
        run(suite, "judge", {"model": "nano", "url": "http://127.0.0.1:9/v1", "retries": 0}, tmp_path)


@pytest.fixture
def faulty_server() -> Iterator[tuple[str, list[str]]]:
    """Answers 9 in chat, but fails for states that have taken a step; gives its URL and the keys that it was shown.

    A real server fails when it is overloaded, which no test can order.
    """
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            keys.append(self.headers["Authorization"])
            token = {"token": "9", "logprob": 0.0, "bytes": None}
            choice = {
                "index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "9"},
                "logprobs": {"content": [token | {"top_logprobs": [token]}]},
            }  # fmt: skip
            fails = "steps" in json.loads(body)["messages"][0]["content"]
            answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            data = json.dumps({"error": {"message": "overloaded"}} if fails else answer).encode()
            self.send_response(503 if fails else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", keys
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failed_request_is_a_missing_value_never_a_number(
    faulty_server: tuple[str, list[str]], suite: Suite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url, _ = faulty_server
    params = {"model": "m", "url": url, "retries": "0"}
    with pytest.raises(SvebError, match=r"values for 12 of 15 states, .*the first states are test-000/"):
        run(suite, "judge", params, tmp_path)
    said = capfd.readouterr().err
    assert "judge: no value for 2 states of test-00000 (s00000" in said
    assert "overloaded" in said
    predictions = Predictions.read(run(suite, "judge", params, tmp_path, allow_missing=True))
    assert [i for i, v in zip(predictions.state_ids, predictions.values, strict=True) if v == 1.0] == [
        f"test-{i:03d}/root" for i in range(3)
    ]


def test_the_key_is_the_harnesss_and_goes_to_the_endpoint_alone(
    faulty_server: tuple[str, list[str]], suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, keys = faulty_server
    monkeypatch.setenv("MY_JUDGE_KEY", "a-secret")
    params = {"model": "m", "url": url, "retries": "0", "api_key_env": "MY_JUDGE_KEY"}
    path = run(suite, "judge", params, tmp_path, allow_missing=True)
    assert set(keys) == {"Bearer a-secret"}
    assert b"a-secret" not in path.read_bytes()


def test_in_the_sandbox_it_is_refused(suite: Suite, tmp_path: Path) -> None:
    require_bubblewrap()
    with pytest.raises(SvebError, match=r"the sandbox has no network .* --no-sandbox"):
        run(suite, "judge", {"model": "m"}, tmp_path, sandbox=True)


def test_a_judge_without_a_model_says_what_to_set(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=r"Judge needs model: add --set model=\.\.\."):
        run(suite, "judge", {}, tmp_path)
