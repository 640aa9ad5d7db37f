"""The critic that PPO would train: a copy of the policy with a value head, fitted to returns token by token.

Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv 1707.06347, section 5), as used for language models.
Regression targets are R_t = A_t + V(s_t): the return itself (`mc`), r_t + V(s_(t+1)) (`td0`), or generalised advantage
estimation's with `lam` (`gae`). The policy stays frozen. A tenth of the training problems is held out; the epoch with
the least squared error on it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sveb.core.errors import SvebError
from sveb.estimate.api import Estimator, Problem, Values
from sveb.estimate.builtins.states import longest_states

_HOLD_OUT = 10  # every tenth problem


class Critic(Estimator):
    """A copy of the policy with a value head, trained on the training rollouts as PPO trains its critic."""

    def __init__(
        self,
        target: Literal["mc", "td0", "gae"] = "mc",
        lam: float = 1.0,
        loss: Literal["mse", "clipped", "bce", "hlgauss"] = "mse",
        init: Literal["policy", "random"] = "policy",
        epochs: int = 4,
        lr: float = 3e-4,
    ) -> None:
        self.target = target
        self.lam = lam
        self.loss = loss
        self.init = init
        self.epochs = epochs
        self.lr = lr

    def fit(self, train: Sequence[Problem]) -> Critic:
        """Sets model_, and held_out_mse_, its squared error to held-out returns after each epoch."""
        import torch

        from sveb.estimate.builtins.value_model import Trajectory, ValueModel
        from sveb.estimate.builtins.value_model import train as train_model

        learned: list[Trajectory] = []
        held_out: list[Trajectory] = []
        for number, problem in enumerate(train):
            prompt = problem.prompt_token_ids
            part = learned if number % _HOLD_OUT else held_out
            part += [
                Trajectory(np.concatenate([prompt, tokens]), len(prompt), float(return_))
                for tokens, return_ in zip(problem.group.token_ids, problem.group.returns, strict=True)
            ]
        if not learned or not held_out:
            raise SvebError("critic needs at least two training problems with rollouts: this suite has too few")
        torch.manual_seed(int(self.rng.integers(2**31)))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model_ = ValueModel(self.policy.weights(), self.init == "policy", self.loss).to(device)
        lam = {"mc": 1.0, "td0": 0.0, "gae": self.lam}[self.target]
        self.held_out_mse_ = train_model(self.model_, learned, held_out, lam, self.epochs, self.lr, self.rng)
        return self

    def predict(self, problem: Problem) -> Values:
        from sveb.estimate.builtins.value_model import predict

        prompt = problem.prompt_token_ids
        n_tokens = np.array([state.n_tokens for state in problem.states])
        longest, members = longest_states(problem.states)
        values = np.empty(len(n_tokens))
        read = predict(self.model_, [np.concatenate([prompt, state.token_ids]) for state in longest])
        for along, mine in zip(read, members, strict=True):
            values[mine] = along[len(prompt) - 1 + n_tokens[mine]]
        return np.clip(values, 0.0, 1.0)
