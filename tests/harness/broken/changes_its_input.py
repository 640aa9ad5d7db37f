"""Sorts the returns in place."""

from sveb import Problem


def predict(problem: Problem):
    problem.group.returns.sort()
    return [problem.group.returns[len(problem.group) // 4 :].mean()] * len(problem.states)
