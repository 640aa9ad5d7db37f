"""The estimator's process: `python -m sveb.harness.worker FD`. FD is its only channel.

It receives a job, then obeys `fit` and `predict`. It has only what it asked for: no path of the suite, no truth, no
future of a probe rollout. It imports no library but numpy, so that it starts fast.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sveb.contract.estimator import Estimator, Workplace
from sveb.contract.problem import Problem, Values
from sveb.harness.estimator_faults import Code, ShapeError, checked_values, describe
from sveb.harness.load_estimator import FunctionEstimator, description, load_builtin, load_file
from sveb.harness.policy_client import PolicyClient, Problems
from sveb.harness.wire import Channel, ClosedError

_LIMIT = 2**36  # replies come from the harness, which is trusted
_MOST_FAULT = 100_000


def main(descriptor: int, serve: Callable[[Channel], None]) -> None:
    """Runs `serve` over the inherited socket `descriptor`."""
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness decides when to stop
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.dont_write_bytecode = True
    channel = Channel(socket.socket(fileno=descriptor), _LIMIT)
    try:
        serve(channel)
    except ClosedError:
        sys.exit(1)


def serve(channel: Channel) -> None:
    """One run: loads, fits, predicts."""
    job = channel.receive().body
    code = Code(Path(job["path"]), job["shown"]) if job.get("path") else Code()
    place: dict[str, int] = {}
    try:
        estimator = load(job, code)
        channel.send("loaded", identity_of(estimator, job))
        estimator._policy = PolicyClient(channel)
        estimator._workplace = workplace(channel, job)
        while (command := channel.receive()).op != "end":
            estimator._rng = np.random.default_rng(job["seed"])
            if command.op == "fit":
                estimator.fit(Problems(channel, "train", command.body["problems"]))
            else:
                test = Problems(channel, "test", command.body["problems"])
                predict(channel, estimator, test, command.body["at_once"], code, place)
            channel.send("done")
    except ClosedError:
        raise
    except (Exception, SystemExit) as error:
        fault = describe(error, code)
        fault["message"] = fault["message"][:_MOST_FAULT]  # an exception may hold all of an array's text
        channel.send("failed", {**fault, **place})


def workplace(channel: Channel, job: dict[str, Any]) -> Workplace:
    """The folders and the progress report that the job gives to an estimator."""

    def progress(done: int, total: int) -> None:
        with channel.lock:
            channel.send("progress", {"done": int(done), "total": int(total)})

    here = Path.cwd()
    return Workplace(Path(job.get("scratch", here)), Path(job.get("home", here)), progress)


def load(job: dict[str, Any], code: Code) -> Estimator:
    """The estimator that a job names."""
    if code.path is None:
        return load_builtin(job["name"], job["params"])
    return load_file(code.path, job["attribute"], job["params"], code.shown)


def identity_of(estimator: Estimator, job: dict[str, Any]) -> dict[str, Any]:
    """What the results say about the estimator. Parameters that JSON cannot hold are shown as text."""
    if isinstance(estimator, FunctionEstimator):
        function = estimator.function.__name__
        name, params = Path(job["path"]).stem if function == "predict" else function, {}
    else:
        name, params = job["name"] or type(estimator).__name__, estimator.get_params()
    return {
        "name": name,
        "params": {key: value if _is_json(value) else repr(value) for key, value in params.items()},
        "description": description(estimator),
        "fits": type(estimator).fit is not Estimator.fit,
    }


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


def predict(
    channel: Channel, estimator: Estimator, problems: Problems, at_once: int, code: Code, place: dict[str, int]
) -> None:
    """Predicts and sends the values: `at_once` problems at a time, and of these set by set.

    One exchange with the harness is about the sets of all these problems. `place` says which problem was being
    predicted if something fails.
    """
    where = _location(estimator, code)
    for start in range(0, len(problems), at_once):
        left = {index: problems[index] for index in range(start, min(start + at_once, len(problems)))}
        while left := problems.next_sets(left):
            values = _predicted(estimator, left, where, place)
            channel.send("values", {"problems": list(left)}, [np.concatenate(values)])


def _predicted(estimator: Estimator, asked: dict[int, Problem], where: str, place: dict[str, int]) -> list[Values]:
    """The values of these problems' states, checked."""
    place.clear()
    if type(estimator).predict_batch is Estimator.predict_batch:
        found = []
        for place["problem"], problem in asked.items():
            estimator._rng = problem.rng
            found.append(checked_values(estimator.predict(problem), len(problem.states), where))
        return found
    results = list(estimator.predict_batch(list(asked.values())))
    if len(results) != len(asked):
        raise ShapeError(
            f"{type(estimator).__name__}.predict_batch: expected {len(asked)} arrays, one per problem, "
            f"found {len(results)}"
        )
    found = []
    for (place["problem"], problem), result in zip(asked.items(), results, strict=True):
        found.append(checked_values(result, len(problem.states), where))
    return found


def _location(estimator: Estimator, code: Code) -> str:
    """Where the user's predicting function is: my.py:12: predict."""
    subject: Any = estimator.function if isinstance(estimator, FunctionEstimator) else type(estimator).predict
    if type(estimator).predict_batch is not Estimator.predict_batch:
        subject = type(estimator).predict_batch
    lines = getattr(subject, "__code__", None)
    if lines is None or not code.owns(lines.co_filename):
        return f"{type(estimator).__name__}.predict"
    return f"{code.name(lines.co_filename)}:{lines.co_firstlineno}: {lines.co_name}"


if __name__ == "__main__":
    main(int(sys.argv[1]), serve)
