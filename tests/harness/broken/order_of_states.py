"""Takes for granted that states come in the order of a response, the bare prompt first."""

from sveb import Problem


def predict(problem: Problem):
    mean = problem.group.returns.mean()
    return [mean * 0.9**place for place in range(len(problem.states))]
