"""Tokens a second of the truth stage of `sveb generate` over raw vLLM, both as a user starts them: as whole processes.

Three sides in turn: `sveb generate` as it is by default (one engine process per core), the same with `--workers 1`, and
raw `LLM.generate` with the same requests in one process per core, each with one thread and all its requests at once.
The clock runs from the first request to the last answer, without the start of the engines. All is measured twice: with
no other process of the bench, and with one that keeps a core busy.

    python -m bench.generate [ROUNDS]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.report import ratio, report
from sveb.common.processor import cores
from sveb.generate.plan import Counts, SeedLayout
from sveb.policies.models import fetch_weights
from sveb.suite.suite import Suite

ROUNDS = 3
SIZE = ("--test-problems", "8", "--train-problems", "0", "--continuations", "64", "--draws", "1", "--audit", "0")


def lines(stream: IO[str] | None, pattern: str) -> Iterator[str]:
    """The lines of an output in which the pattern is found, as they come."""
    assert stream is not None
    return (line for line in stream if re.search(pattern, line))


def ours(out: Path, *more: str) -> float:
    """Tokens a second of the truth stage of one `sveb generate`."""
    command = [sys.executable, "-m", "sveb.cli", "generate", "--model", "nano", "--engine", "vllm", "--size", "demo"]
    process = subprocess.Popen(
        [*command, *SIZE, *more, "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert next(lines(process.stderr, r"^truth: "), None), "no truth stage"
    began = time.perf_counter()
    assert next(lines(process.stderr, r"^(weigh steps|write suite)"), None), "no end of the truth stage"
    seconds = time.perf_counter() - began
    process.communicate()
    assert process.returncode == 0
    return truth_tokens(out) / seconds


def truth_tokens(out: Path) -> int:
    """Sampled tokens of the suite's truth."""
    return sum(map(sum, Suite.open(out).table("truth")["n_tokens"].to_pylist()))


def raw(suite: Path) -> float:
    """Tokens a second of raw vLLM with the truth's requests of this suite, in one process per core."""
    command = [sys.executable, "-m", "bench.generate", "raw", str(suite)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, str(share)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        for share in range(cores())
    ]
    for process in processes:
        assert next(lines(process.stdout, "^ready"), None)
    began = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    tokens = sum(int(next(lines(process.stdout, r"^\d+$"))) for process in processes)
    seconds = time.perf_counter() - began
    for process in processes:
        process.communicate()
    assert tokens == truth_tokens(suite), "raw vLLM sampled other continuations"
    return tokens / seconds


def serve_raw(path: Path, share: int) -> None:
    """Loads raw vLLM, waits for a line of input, and samples every `cores()`-th state's truth, from the `share`-th."""
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    from vllm import LLM, SamplingParams

    suite = Suite.open(path)
    manifest = suite.manifest
    layout = SeedLayout(Counts(**manifest.counts), manifest.seed)
    places = {problem: place for place, problem in enumerate(suite.problems.query("split == 'test'").index)}
    numbers = suite.states.groupby("problem_id", sort=False).cumcount()
    prompts, params = [], []
    for row, number in list(zip(suite.states.itertuples(), numbers, strict=True))[share :: cores()]:
        prefix = [*suite.problems.loc[row.problem_id, "prompt_token_ids"].tolist(), *row.token_ids.tolist()]
        for seed in layout.truth(places[row.problem_id], number):
            prompts.append({"prompt_token_ids": prefix})
            params.append(
                SamplingParams(
                    temperature=manifest.sampling["temperature"], top_p=manifest.sampling["top_p"], seed=int(seed),
                    max_tokens=manifest.sampling["max_new_tokens"] - row.n_tokens, detokenize=False,
                    stop_token_ids=manifest.policy["codec"]["stop_token_ids"],
                )
            )  # fmt: skip
    llm = LLM(
        str(fetch_weights(manifest.policy["source"]).folder), dtype="float32", max_model_len=512, max_num_seqs=256,
        block_size=32, enforce_eager=True, enable_chunked_prefill=False, max_num_batched_tokens=4096,
        enable_prefix_caching=True, generation_config="vllm", skip_tokenizer_init=True, disable_log_stats=True,
        kv_cache_memory_bytes=2**30,
    )  # fmt: skip
    print("ready", flush=True)
    sys.stdin.readline()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    print(sum(len(output.outputs[0].token_ids) for output in outputs), flush=True)


@contextmanager
def busy_core(busy: bool) -> Iterator[None]:
    """Another process that never rests, if `busy`."""
    if not busy:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(rounds: int) -> None:
    """Runs the bench."""
    figures: dict[str, object] = {"rounds": rounds}
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "suite"
        ours(suite)
        figures["tokens_a_round"] = truth_tokens(suite)
        for condition in ("idle", "one_core_busy"):
            rates: dict[str, list[float]] = {"raw": [], "sveb": [], "sveb_one_worker": []}
            with busy_core(condition == "one_core_busy"):
                for number in range(3 * rounds):
                    turn, place = divmod(number, 3)
                    name = list(rates)[(turn + place) % 3]
                    out = Path(folder) / f"{condition}{number}" / "suite"
                    more = ("--workers", "1") if name == "sveb_one_worker" else ()
                    rates[name].append(raw(suite) if name == "raw" else ours(out, *more))
                    print(f"{condition} {name}: {rates[name][-1]:.0f} tokens/s", file=sys.stderr, flush=True)
            figures[condition] = {
                "raw_tokens_per_s": [round(rate) for rate in rates["raw"]],
                "sveb_tokens_per_s": [round(rate) for rate in rates["sveb"]],
                "sveb_over_raw": ratio(rates["sveb"], rates["raw"]),
                "processes_per_core_over_one": ratio(rates["sveb"], rates["sveb_one_worker"]),
            }
            report("generate", figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["raw"]:
        serve_raw(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
