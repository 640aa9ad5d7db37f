"""Tokens a second of the engines against each other on the same requests, in turns within one run.

Every round draws fresh seeds and runs every side once (A B C ... A B C ...), so that a machine whose speed drifts
treats them alike; ratios are medians over rounds. The server runs in a process of its own beside this one, and idles
while the others work.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from bench.report import report
from sveb.common.seeds import seeds
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.suite.suite import Suite

STATES, CONTINUATIONS, ROUNDS = 60, 16, 3


@contextmanager
def server() -> Iterator[str]:
    """`vllm serve` of the embedded policy, as docs/engines.md tells."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model",
             str(fetch_weights("package:nano").folder), "--host", "127.0.0.1", "--port", url.rpartition(":")[2],
             "--generation-config", "vllm", "--dtype", "float32", "--block-size", "32", "--enforce-eager",
             "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096", "--disable-log-stats",
             "--disable-uvicorn-access-log"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                try:
                    urllib.request.urlopen(f"{url}/health", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield url
        finally:
            process.terminate()
            process.wait()


def prefixes(suite: Suite) -> list[tuple[list[int], int]]:
    """(prompt and response so far, remaining budget) of the suite's first path states."""
    budget = suite.manifest.sampling["max_new_tokens"]
    states = suite.states[suite.states["kind"] == "path"].head(STATES)
    prompts = suite.problems["prompt_token_ids"]
    return [
        ([*prompts[row.problem_id].tolist(), *row.token_ids.tolist()], budget - row.n_tokens)
        for row in states.itertuples()
    ]


def main() -> None:
    """Runs the bench."""
    suite = Suite.open()
    sampling = Sampling(**suite.manifest.sampling)
    states = prefixes(suite)
    offline = load_policy("nano", "vllm", max_model_len=512)
    local = load_policy("nano", "transformers")

    def requests(numbers: np.ndarray) -> list[SampleRequest]:
        return [
            SampleRequest((i, k), prefix, int(numbers[i, k]), budget)
            for i, (prefix, budget) in enumerate(states)
            for k in range(CONTINUATIONS)
        ]

    def sampled(policy: Policy) -> Callable[[np.ndarray], int]:
        return lambda numbers: sum(len(c.token_ids) for c in policy.sample(requests(numbers), sampling))

    def raw(n: int) -> Callable[[np.ndarray], int]:
        """`LLM.generate`, n continuations a request; a child's seed is the request's + its index."""

        def run(numbers: np.ndarray) -> int:
            from vllm import SamplingParams

            chosen = [
                (prefix, SamplingParams(n=n, temperature=sampling.temperature, top_p=sampling.top_p,
                                        seed=int(numbers[i, k]), max_tokens=budget, detokenize=False))
                for i, (prefix, budget) in enumerate(states)
                for k in range(0, CONTINUATIONS, n)
            ]  # fmt: skip
            outputs = offline._llm.generate(
                [{"prompt_token_ids": prefix} for prefix, _ in chosen], [p for _, p in chosen], use_tqdm=False
            )
            return sum(len(each.token_ids) for output in outputs for each in output.outputs)

        return run

    with server() as url:
        served = load_policy("nano", "server", server_url=url)
        sides = {
            "vllm": sampled(offline), "transformers": sampled(local), "server": sampled(served),
            "llm_n_is_k": raw(CONTINUATIONS), "llm_k_requests": raw(1),
        }  # fmt: skip
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(ROUNDS + 1):
            first = number * STATES * CONTINUATIONS
            numbers = seeds(99, np.arange(first, first + STATES * CONTINUATIONS)).reshape(STATES, CONTINUATIONS)
            for name, run in sides.items():
                began = time.perf_counter()
                tokens = run(numbers)
                if number:  # the first round warms up
                    rates[name].append(tokens / (time.perf_counter() - began))
        served.close()

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True)), 2)

    report(
        "engines",
        {
            "requests_a_round": STATES * CONTINUATIONS,
            "tokens_per_s": {name: [round(rate) for rate in found] for name, found in rates.items()},
            "vllm_over_transformers": ratio("vllm", "transformers"),
            "n_is_k_over_k_requests": ratio("llm_n_is_k", "llm_k_requests"),
            "server_over_vllm": ratio("server", "vllm"),
        },
    )


if __name__ == "__main__":
    main()
