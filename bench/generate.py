"""Tokens a second of `sveb generate`'s truth stage over raw `LLM.generate` on the same requests; engine idle share.

All run in this process on one engine, in turn (A B C A B C ...), so that a machine whose speed drifts treats them
alike. The raw side gets every request at once and does nothing with what comes back; ours streams, decodes, grades and
stores, once with the task's own grader and once with every answer through the processes of math-verify. Every round
draws fresh seeds, so that no side finds the other's continuations in the prefix cache. The engine is idle while it
waits for a request or for its completion to be taken.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from bench.report import report
from sveb.core.records import ProblemRecord
from sveb.core.seeds import seeds
from sveb.core.suite import Suite
from sveb.generate.stages import SilentReporter, run_stage
from sveb.generate.store import Store
from sveb.generate.units import Unit
from sveb.policies.base import Completion, SampleRequest, Sampling
from sveb.policies.models import fetch_weights
from sveb.policies.vllm import VllmPolicy
from sveb.tasks.graders.mathematics import MathGrader
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

STATES, CONTINUATIONS, ROUNDS = 60, 64, 3


class Watched:
    """A policy, and the seconds in which its engine had nothing to do (`idle_s`) of those that it worked (`wall_s`)."""

    def __init__(self, policy: VllmPolicy) -> None:
        self.policy, self.codec, self.fingerprint = policy, policy.codec, policy.fingerprint
        self.idle_s = self.wall_s = 0.0

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling) -> Iterator[Completion]:
        """See `Policy.sample`."""
        began = time.perf_counter()
        for completion in self.policy.sample(self._timed(requests), sampling):
            given = time.perf_counter()
            yield completion
            self.idle_s += time.perf_counter() - given
        self.wall_s += time.perf_counter() - began

    def _timed(self, requests: Iterable[SampleRequest]) -> Iterator[SampleRequest]:
        source = iter(requests)
        while True:
            asked = time.perf_counter()
            request = next(source, None)
            self.idle_s += time.perf_counter() - asked
            if request is None:
                return
            yield request


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
    as_math = dataclasses.replace(task, answer={**task.answer, "grader": "math"})
    MathGrader.at_once = lambda *_: None  # type: ignore[method-assign]  # what it knows at a glance would be no load
    watched = {name: Watched(policy) for name in ("number", "math")}
    rates: dict[str, list[float]] = {"raw": [], "number": [], "math": []}

    def ours(name: str, work: list[Unit]) -> float:
        reporter = SilentReporter()
        with (
            tempfile.TemporaryDirectory() as folder,
            Store(Path(folder), {}) as store,
            Grading(task if name == "number" else as_math) as grading,
        ):
            began = time.perf_counter()
            run_stage(
                "truth", lambda: work, store, watched[name], sampling, reporter, grading=grading, keep_tokens=False
            )
            return reporter.tokens / (time.perf_counter() - began)

    def raw(work: list[Unit]) -> float:
        prompts = [{"prompt_token_ids": [*u.prompt, *u.response]} for u in work for _ in u.seeds]
        params = [
            SamplingParams(temperature=sampling.temperature, top_p=sampling.top_p, seed=int(seed),
                           max_tokens=u.max_tokens, detokenize=False)
            for u in work
            for seed in u.seeds
        ]  # fmt: skip
        began = time.perf_counter()
        outputs = policy._llm.generate(prompts, params, use_tqdm=False)
        return sum(len(o.outputs[0].token_ids) for o in outputs) / (time.perf_counter() - began)

    for number in range(len(rates) * (ROUNDS + 1)):
        name = list(rates)[number % len(rates)]
        first = number * STATES * CONTINUATIONS
        numbers = seeds(99, np.arange(first, first + STATES * CONTINUATIONS)).reshape(STATES, CONTINUATIONS)
        work = units(suite, sampling.max_new_tokens, numbers)
        rate = raw(work) if name == "raw" else ours(name, work)
        if number >= len(rates):  # the first round of each warms up
            rates[name].append(rate)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    report(
        "generate",
        {
            "requests_a_round": STATES * CONTINUATIONS,
            "raw_llm_generate_tokens_per_s": [round(r) for r in rates["raw"]],
            "truth_stage_tokens_per_s": [round(r) for r in rates["number"]],
            "truth_stage_with_math_verify_tokens_per_s": [round(r) for r in rates["math"]],
            "ratio_of_medians": round(medians["number"] / medians["raw"], 3),
            "ratio_of_medians_with_math_verify": round(medians["math"] / medians["raw"], 3),
            "engine_idle_share": round(watched["number"].idle_s / watched["number"].wall_s, 4),
            "engine_idle_share_with_math_verify": round(watched["math"].idle_s / watched["math"].wall_s, 4),
        },
    )


if __name__ == "__main__":
    main()
