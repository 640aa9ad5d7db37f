"""Converts, and prepares, in __init__."""

from pathlib import Path

from sveb import Estimator, Problem


class Eager(Estimator):
    def __init__(self, folder: str = "."):
        self.folder = Path(folder)
        self.cache = {}

    def predict(self, problem: Problem):
        return [problem.group.returns.mean()] * len(problem.states)
