"""An estimator that a bench has fitted and pickled, for `evaluate`."""

import pickle

from sveb import Estimator, Problem
from sveb.contract.problem import Values


class Fitted(Estimator):
    """An estimator that was fitted before, on other training problems than the suite's."""

    def __init__(self, file: str) -> None:
        """`file` is the pickle's path, relative to where the user is."""
        self.file = file

    def fit(self, train: object) -> None:  # noqa: ARG002
        """Sets fitted_."""
        self.fitted_: Estimator = pickle.loads((self.workplace.home / self.file).read_bytes())
        self.fitted_._policy = self.policy

    def predict(self, problem: Problem) -> Values:
        values: Values = self.fitted_.predict(problem)
        return values
