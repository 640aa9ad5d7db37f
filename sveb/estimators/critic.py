"""The critic that PPO would train: a copy of the policy with a value head, fitted to returns token by token.

Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv 1707.06347, section 5), as used for language models.
Regression targets are R_t = A_t + V(s_t): the return itself (`mc`), r_t + V(s_(t+1)) (`td0`), or generalised advantage
estimation's with `lam` (`gae`, for which lam = 1 is `mc`). The policy itself is not changed. A tenth of the training
problems is held out; the epoch with the smallest squared error on it is kept.

On a GPU the backbone computes in bfloat16. A killed training continues when the same run is started again. The run
folder keeps the trained critic and its loss curve in scratch/; `checkpoint` loads such a folder instead of training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import longest_states

if TYPE_CHECKING:
    from sveb.estimators.shared.value_model import ValueModel
    from sveb.estimators.shared.value_training import Trajectory

_HOLD_OUT = 10  # every tenth problem
_TOKENS_CPU, _TOKENS_GPU = 1024, 16_384  # on a CPU larger batches are no faster and have more padding
_NOT_OF_TRAINING = ("checkpoint", "tokens_at_once")


@builtin(budget=("train_returns", "hidden_states"), cost="reads")
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
        tokens_at_once: int | None = None,
        checkpoint: str | None = None,
    ) -> None:
        """`tokens_at_once` bounds the tokens of one pass, and so the memory. It changes no result."""
        self.target = target
        self.lam = lam
        self.loss = loss
        self.init = init
        self.epochs = epochs
        self.lr = lr
        self.tokens_at_once = tokens_at_once
        self.checkpoint = checkpoint

    def fit(self, train: Sequence[Problem]) -> Critic:
        """Sets model_, and held_out_mse_, its squared error to held-out returns after each epoch."""
        tokens = 1 if self.tokens_at_once is None else self.tokens_at_once
        if self.epochs < 1 or not 0 < self.lr < float("inf") or not 0 <= self.lam <= 1 or tokens < 1:
            raise SvebError(
                f"critic: epochs is {self.epochs}, lr {self.lr}, lam {self.lam}, tokens_at_once {self.tokens_at_once}: "
                "expected at least one epoch and token, lr above 0 and lam from 0 to 1"
            )
        if self.checkpoint is None:
            self._train(train)
        else:
            self._load(self.workplace.home / Path(self.checkpoint).expanduser())
            # The weights learned from the training returns, so the account must list them.
            _ = [problem.group for problem in train[:1]]
        return self

    def predict(self, problem: Problem) -> Values:
        from sveb.estimators.shared.value_model import predict

        prompt = problem.prompt_token_ids
        n_tokens = np.array([state.n_tokens for state in problem.states])
        longest, members = longest_states(problem.states)
        values = np.empty(len(n_tokens))
        read = predict(self.model_, [np.concatenate([prompt, state.token_ids]) for state in longest])
        for along, mine in zip(read, members, strict=True):
            values[mine] = along[len(prompt) - 1 + n_tokens[mine]]
        return np.clip(values, 0.0, 1.0)

    def _train(self, train: Sequence[Problem]) -> None:
        import torch

        from sveb.estimators.shared.value_store import Store
        from sveb.estimators.shared.value_training import Recipe
        from sveb.estimators.shared.value_training import train as train_model

        learned, held_out = self._trajectories(train)
        if not learned or not held_out:
            raise SvebError("critic needs at least two training problems with rollouts: this suite has too few")
        seed = int(self.rng.integers(2**31))
        torch.manual_seed(seed)
        self.model_ = self._model(self.init == "policy")
        lam = {"mc": 1.0, "td0": 0.0, "gae": self.lam}[self.target]
        settings = self._settings() | {"seed": seed, "data": _digest([*learned, *held_out])}
        store = Store(self.workplace.scratch, settings)
        recipe = Recipe(lam, self.epochs, self.lr, seed)
        try:
            history = train_model(self.model_, learned, held_out, recipe, store, self.workplace.progress)
        except torch.OutOfMemoryError:
            raise SvebError(
                f"critic: passes of {self.model_.tokens_at_once} tokens do not fit into the GPU's memory: choose fewer "
                "with --set tokens_at_once=..."
            ) from None
        self.held_out_mse_ = history.held_out

    def _load(self, folder: Path) -> None:
        from sveb.estimators.shared.value_store import load_weights, read_history

        settings, history = read_history(folder)
        other = [f"--set {name}={settings.get(name)}" for name, mine in self._settings().items()
                 if settings.get(name) != mine]  # fmt: skip
        if other:
            raise SvebError(f"{folder}: that critic was trained with other settings, add {' '.join(other)}")
        if len(history.held_out) < self.epochs:
            raise SvebError(f"{folder}: that training has not finished: start the same run again to continue it")
        self.model_ = self._model(pretrained=False)
        load_weights(folder, self.model_)
        self.held_out_mse_ = history.held_out

    def _model(self, pretrained: bool) -> ValueModel:
        import torch

        from sveb.estimators.shared.value_model import ValueModel, backbone_of

        gpu = torch.cuda.is_available()
        weights = self.policy.weights()
        if not Path(weights).is_dir():
            raise SvebError("critic trains a copy of the policy, but the sandbox does not show it the policy's weights")
        tokens = self.tokens_at_once or (_TOKENS_GPU if gpu else _TOKENS_CPU)
        return ValueModel(backbone_of(weights, pretrained), self.loss, gpu, tokens).to("cuda" if gpu else "cpu")

    def _settings(self) -> dict[str, Any]:
        """The parameters on which the trained weights depend."""
        return {name: value for name, value in self.get_params().items() if name not in _NOT_OF_TRAINING}

    def _trajectories(self, train: Sequence[Problem]) -> tuple[list[Trajectory], list[Trajectory]]:
        """Trajectories to learn from, and held-out ones."""
        from sveb.estimators.shared.value_training import Trajectory

        found: tuple[list[Trajectory], list[Trajectory]] = ([], [])
        for number, problem in enumerate(train):
            prompt, group = problem.prompt_token_ids, problem.group
            found[number % _HOLD_OUT == 0].extend(
                Trajectory(np.concatenate([prompt, tokens]), len(prompt), float(return_))
                for tokens, return_ in zip(group.token_ids, group.returns, strict=True)
                if len(tokens)
            )
        return found


def _digest(trajectories: Sequence[Trajectory]) -> str:
    found = hashlib.sha256()
    for each in trajectories:
        found.update(each.token_ids.tobytes() + f"|{each.n_prompt}|{each.return_}|".encode())
    return found.hexdigest()
