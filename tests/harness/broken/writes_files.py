"""Keeps a log next to its code."""

from pathlib import Path

from sveb import Estimator, Problem


class Logging(Estimator):
    def __init__(self, log: str = ""):
        self.log = log

    def predict(self, problem: Problem):
        with Path(self.log or Path(__file__).with_suffix(".log")).open("a") as stream:
            stream.write(f"{problem.id}\n")
        return [problem.group.returns.mean()] * len(problem.states)
