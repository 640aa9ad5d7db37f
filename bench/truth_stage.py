"""What streaming, decoding, grading and storing cost an engine: the truth stage over raw `LLM.generate`; idle share.

All run in this process on one engine, in many short rounds and in turn (A B C, B C A, ...), so that a machine whose
speed drifts treats them alike: one round of a side may be 20 % above or below the next. The figure is the median of the
rounds' ratios, with its bootstrap interval. The raw side gets every request at once and does nothing with what comes
back; ours streams, decodes, grades and stores, once with the task's own grader and once with every answer through the
processes of math-verify. Every round draws fresh seeds, so that no side finds the other's continuations in the prefix
cache. The engine is idle while it waits for a request or for its completion to be taken.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bench.report import ratio, report
from sveb.common.seeds import seeds
from sveb.generate.reporter import SilentReporter
from sveb.generate.stage_runner import StageRunner
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.models import fetch_weights
from sveb.policies.policy import Completion, SampleRequest, Sampling
from sveb.policies.vllm_engine import VllmPolicy
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.tasks.graders.math_grader import MathGrader
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

STATES, CONTINUATIONS, ROUNDS = 60, 20, 30


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
            Unit(row.state_id, record, problem["prompt_token_ids"].tolist(), row.token_ids.tolist(), chunk,
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

    def ours(name: str, grading: Grading, work: list[Unit]) -> float:
        reporter = SilentReporter()
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder), {}) as store:
            began = time.perf_counter()
            runner = StageRunner(
                store=store, policy=watched[name], sampling=sampling, grading=grading, reporter=reporter,
                problem_of={unit.problem.problem_id: unit.problem for unit in work},
            )  # fmt: skip
            runner.run("truth", lambda: work, keep_tokens=False, retry=False)
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

    sides = list(rates)
    with ExitStack() as stack:
        graders = {"number": stack.enter_context(Grading(task)), "math": stack.enter_context(Grading(as_math))}
        for number in range(len(sides) * (ROUNDS + 1)):
            turn, place = divmod(number, len(sides))
            name = sides[(turn + place) % len(sides)]
            first = number * STATES * CONTINUATIONS
            numbers = seeds(99, np.arange(first, first + STATES * CONTINUATIONS)).reshape(STATES, CONTINUATIONS)
            work = units(suite, sampling.max_new_tokens, numbers)
            rate = raw(work) if name == "raw" else ours(name, graders[name], work)
            if turn:  # the first round of each warms up
                rates[name].append(rate)
    medians = {name: ratio(rates[name], rates["raw"]) for name in watched}
    report(
        "truth_stage",
        {
            "requests_a_round": STATES * CONTINUATIONS,
            "rounds": ROUNDS,
            "raw_llm_generate_tokens_per_s": round(float(np.median(rates["raw"]))),
            "truth_stage_over_raw": medians["number"],
            "truth_stage_with_math_verify_over_raw": medians["math"],
            "engine_idle_share": round(watched["number"].idle_s / watched["number"].wall_s, 4),
            "engine_idle_share_with_math_verify": round(watched["math"].idle_s / watched["math"].wall_s, 4),
        },
    )


if __name__ == "__main__":
    main()
