"""Per cent."""

from sveb import Problem


def predict(problem: Problem):
    return [100 * problem.group.returns.mean()] * len(problem.states)
