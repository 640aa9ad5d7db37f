"""Shrinks each group towards the mean of the batch's returns."""

import numpy as np

from sveb import Estimator, Problem


class Pooled(Estimator):
    def predict_batch(self, problems: list[Problem]):
        mean = np.mean([problem.group.returns.mean() for problem in problems])
        return [np.full(len(problem.states), (problem.group.returns.mean() + mean) / 2) for problem in problems]
