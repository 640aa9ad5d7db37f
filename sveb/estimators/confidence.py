"""How sure was the policy of its last tokens?

DeepConf's token confidence (Fu et al., "Deep Think with Confidence", arXiv 2508.15260): minus the mean log-probability
of the k most likely next tokens, or minus the distribution's entropy, averaged over the last `window` tokens and the
next one; mapped to a value by isotonic regression on the training rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.isotonic import fit_isotonic
from sveb.estimators.shared.needed_states import MOST_PROBLEMS, by_problem, unfinished_ends


@builtin(budget=("train_returns", "logprobs"), cost="reads")
class Confidence(Estimator):
    """The policy's confidence in its last tokens, calibrated on training rollouts."""

    def __init__(self, measure: Literal["topk", "entropy"] = "topk", k: int = 20, window: int = 64) -> None:
        self.measure = measure
        self.k = k
        self.window = window

    def fit(self, train: Sequence[Problem]) -> Confidence:
        """Sets calibration_, from the states of the training rollouts: prompts and ends of steps."""
        scores, returns = [], []
        for problem in islice(train, MOST_PROBLEMS):
            group = problem.group
            for i, rows in enumerate(self.policy.rollout_confidences(problem, self.k)):
                found = [self._score(rows[: end + 1]) for end in unfinished_ends(group, i)]
                scores += found
                returns += [group.returns[i]] * len(found)
        if not scores:
            raise SvebError("confidence needs training problems with rollouts: this suite has none")
        self.calibration_ = fit_isotonic(np.array(scores), np.array(returns))
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        states = [state for problem in problems for state in problem.states]
        scores = [self._score(rows) for rows in self.policy.confidences(states, self.k)]
        return by_problem(self.calibration_(np.array(scores)), problems)

    def _score(self, rows: npt.NDArray[np.float32]) -> float:
        """Higher is more confident: a peaked distribution has small log-probabilities for all tokens but the first."""
        last = rows[-(self.window + 1) :].astype(np.float64)
        return -float(last[:, 0 if self.measure == "topk" else 1].mean())
