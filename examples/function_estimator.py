"""An estimator can be a bare function: `sveb eval examples/function_estimator.py`."""

from sveb import Problem


def predict(problem: Problem):
    """Group mean, moved towards 1 by every finished step."""
    mean = problem.group.returns.mean()
    return [1 - (1 - mean) * 0.97**state.step_index for state in problem.states]
