"""Tokens a second of `sveb generate`'s truth stage over raw `LLM.generate` on the same requests.

Both run in this process on one engine, in turn (A B A B ...), so that a machine whose speed drifts treats them alike.
The raw side gets every request at once and does nothing with what comes back; ours streams, decodes, grades and
stores. Every round draws fresh seeds, so that no side finds the other's continuations in the prefix cache.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.report import report
from sveb.core.records import ProblemRecord
from sveb.core.seeds import seeds
from sveb.core.suite import Suite
from sveb.generate.stages import SilentReporter, Unit, grader, run_stage
from sveb.generate.store import Store
from sveb.policies.base import Sampling
from sveb.policies.models import fetch_weights
from sveb.policies.vllm import VllmPolicy
from sveb.tasks.task import Task

STATES, CONTINUATIONS, ROUNDS = 60, 64, 4


def units(suite: Suite, budget: int, numbers: np.ndarray) -> list[Unit]:
    """Truth units of the suite's first path states."""
    found = []
    states = suite.states[suite.states["kind"] == "path"].head(STATES)
    for row, chunk in zip(states.itertuples(), numbers, strict=True):
        problem = suite.problems.loc[row.problem_id]
        record = ProblemRecord(row.problem_id, problem["question"], problem["answer"])
        found.append(
            Unit(row.state_id, 0, record, problem["prompt_token_ids"].tolist(), row.token_ids.tolist(), chunk,
                 budget - row.n_tokens)
        )  # fmt: skip
    return found


def main() -> None:
    """Runs the bench."""
    from vllm import SamplingParams

    suite = Suite.open()
    sampling = Sampling(**suite.manifest.sampling)
    policy = VllmPolicy(fetch_weights(suite.manifest.policy["source"]), None, None)
    task = Task.load(suite.manifest.task["name"])
    grade = grader(task, policy)
    ours, raw = [], []
    for number in range(2 * ROUNDS + 2):
        first = number * STATES * CONTINUATIONS
        numbers = seeds(99, np.arange(first, first + STATES * CONTINUATIONS)).reshape(STATES, CONTINUATIONS)
        work = units(suite, sampling.max_new_tokens, numbers)
        if number % 2 == 0:
            reporter = SilentReporter()
            with tempfile.TemporaryDirectory() as folder, Store(Path(folder), {}) as store:
                began = time.perf_counter()
                run_stage("truth", work, store, policy, sampling, reporter, grade=grade, keep_tokens=False)
                rate = reporter.tokens / (time.perf_counter() - began)
        else:
            prompts = [{"prompt_token_ids": [*u.prompt, *u.response]} for u in work for _ in u.seeds]
            params = [
                SamplingParams(temperature=sampling.temperature, top_p=sampling.top_p, seed=int(seed),
                               max_tokens=u.max_tokens, detokenize=False)
                for u in work
                for seed in u.seeds
            ]  # fmt: skip
            began = time.perf_counter()
            outputs = policy._llm.generate(prompts, params, use_tqdm=False)
            tokens = sum(len(o.outputs[0].token_ids) for o in outputs)
            rate = tokens / (time.perf_counter() - began)
        if number >= 2:  # the first round of each warms up
            (ours if number % 2 == 0 else raw).append(rate)
    report(
        "generate",
        {
            "requests_a_round": STATES * CONTINUATIONS,
            "truth_stage_tokens_per_s": [round(r) for r in ours],
            "raw_llm_generate_tokens_per_s": [round(r) for r in raw],
            "ratio_of_medians": round(statistics.median(ours) / statistics.median(raw), 3),
        },
    )


if __name__ == "__main__":
    main()
