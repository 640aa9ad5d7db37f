"""PPO's critic: it is trained on while the policy is, one pass over each batch of rollouts.

Each `fit` continues the training of the last one. The first one starts from a copy of the policy as it is then. The
targets are the returns: lambda is 1 for the critic, whatever it is for the policy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sveb.contract.problem import Problem, Values
from sveb.estimators.critic import Critic
from sveb.estimators.shared.needed_states import by_problem
from sveb.estimators.shared.value_model import predict
from sveb.estimators.shared.value_training import Trajectory, gradient_steps


class OnlineCritic(Critic):
    """A copy of the policy with a value head that sees each batch of rollouts once, in their order."""

    def __init__(self, lr: float = 3e-4) -> None:
        super().__init__(lr=lr)

    def fit(self, train: Sequence[Problem]) -> OnlineCritic:
        """Sets model_ and optimizer_, or trains them further."""
        if not hasattr(self, "model_"):
            self.model_ = self._model(pretrained=True)
            self.optimizer_ = torch.optim.AdamW(self.model_.parameters(), lr=self.lr, weight_decay=0.0)
        rollouts = [
            Trajectory(np.concatenate([problem.prompt_token_ids, tokens]), len(problem.prompt_token_ids), return_)
            for problem in train
            for tokens, return_ in zip(problem.group.token_ids, problem.group.returns.tolist(), strict=True)
        ]
        order = self.rng.permutation(len(rollouts))
        for _ in gradient_steps(self.model_, self.optimizer_, [rollouts[i] for i in order], 1.0):
            pass
        return self

    def predict(self, problem: Problem) -> Values:
        return self.predict_batch([problem])[0]

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        sequences = [
            np.concatenate([problem.prompt_token_ids, state.token_ids])
            for problem in problems
            for state in problem.states
        ]
        return by_problem(np.clip([row[-1] for row in predict(self.model_, sequences)], 0.0, 1.0), problems)
