"""How likely is the reference answer to the policy, if it had to answer now?

Mean log-probability of the reference answer's tokens given prompt, prefix and the words that announce an answer in
this task, as the likelihood rewards of VeriFree (arXiv 2505.21493) and RLPR (arXiv 2506.18254) use it,
mapped to a value by isotonic regression on the training rollouts. It reads the reference answer, as its budget says.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.isotonic import fit_isotonic
from sveb.estimators.shared.needed_states import MOST_PROBLEMS, by_problem, unfinished_ends


@builtin(budget=("train_returns", "logprobs", "gold_answer"), cost="reads")
class AnswerLikelihood(Estimator):
    """Log-probability of the reference answer if given now, calibrated on training rollouts."""

    def fit(self, train: Sequence[Problem]) -> AnswerLikelihood:
        """Sets calibration_, from the states of the training rollouts: prompts and ends of steps."""
        scores, returns = [], []
        for problem in islice(train, MOST_PROBLEMS):
            group = problem.group
            for i, logprobs in enumerate(self.policy.rollout_answer_logprobs(problem)):
                states = len(unfinished_ends(group, i))
                scores.append(logprobs[:states].mean(axis=1))
                returns.append(np.full(states, group.returns[i]))
        if not scores:
            raise SvebError("answer_likelihood needs training problems with rollouts: this suite has none")
        self.calibration_ = fit_isotonic(np.concatenate(scores).astype(np.float64), np.concatenate(returns))
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        states = [state for problem in problems for state in problem.states]
        scores = [float(logprobs.mean()) for logprobs in self.policy.answer_logprobs(states)]
        return by_problem(self.calibration_(np.array(scores)), problems)
