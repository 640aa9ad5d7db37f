"""The critic that PPO would train: a copy of the policy with a value head, fitted to returns token by token.

Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv 1707.06347, section 5), as used for language models.
Regression targets are R_t = A_t + V(s_t): the return itself (`mc`), r_t + V(s_(t+1)) (`td0`), or generalised advantage
estimation's with `lam` (`gae`, for which lam = 1 is `mc`). The policy itself is not changed. A tenth of the training
problems is held out; the epoch with the smallest squared error on it is kept.

PPO's critic also learns from other rollouts of the problems that it values. `group` gives it those of the problem's
group. `level`: V(s) + sum_i e_i / (n + kappa), where e_i is the return of rollout i minus the mean of V along it. This
is the posterior mean of the critic's error in the problem, if that error is Gaussian around 0 and a rollout's noise has
kappa times its variance. `train`: a copy of the critic learns from the group's rollouts, at a third of the learning
rate, before it values the problem's states. kappa and the number of passes (at most 2) have the smallest error on the
held-out training problems.

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
_NOT_OF_TRAINING = ("checkpoint", "group", "tokens_at_once")
_KAPPAS = 2.0 ** np.arange(-2, 7)
# A few rollouts, and an optimizer that starts anew: at the training's own rate a second pass makes it worse.
_MOST_PASSES, _TUNING_RATE = 2, 1 / 3


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
        group: Literal["none", "level", "train"] = "none",
        tokens_at_once: int | None = None,
        checkpoint: str | None = None,
    ) -> None:
        """`tokens_at_once` bounds the tokens of one pass, and so the memory. It changes no result.

        With group=train there is one copy of the critic for each problem that is being valued.
        """
        self.target = target
        self.lam = lam
        self.loss = loss
        self.init = init
        self.epochs = epochs
        self.lr = lr
        self.group = group
        self.tokens_at_once = tokens_at_once
        self.checkpoint = checkpoint

    def fit(self, train: Sequence[Problem]) -> Critic:
        """Sets model_, and held_out_mse_, its squared error to held-out returns after each epoch.

        With `group` it also sets kappa_ or passes_.
        """
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
        if self.group != "none":
            self._choose([rollouts for problem in train[::_HOLD_OUT] if len(rollouts := _trajectories(problem)) > 1])
        return self

    def predict(self, problem: Problem) -> Values:
        from sveb.estimators.shared.value_model import predict

        model, shift = problem.remember(f"{self}.with_group", lambda: self._with_group(problem))
        prompt = problem.prompt_token_ids
        n_tokens = np.array([state.n_tokens for state in problem.states])
        longest, members = longest_states(problem.states)
        values = np.empty(len(n_tokens))
        read = predict(model, [np.concatenate([prompt, state.token_ids]) for state in longest])
        for along, mine in zip(read, members, strict=True):
            values[mine] = along[len(prompt) - 1 + n_tokens[mine]]
        return np.clip(values + shift, 0.0, 1.0)

    def _with_group(self, problem: Problem) -> tuple[ValueModel, float]:
        """The model for this problem, and what is added to its values."""
        if self.group == "level":
            residuals = self._residuals(_trajectories(problem))
            return self.model_, float(residuals.sum() / (len(residuals) + self.kappa_))
        if self.group == "train":
            return self._tuned(_trajectories(problem), self.passes_), 0.0
        return self.model_, 0.0

    def _choose(self, held_out: Sequence[list[Trajectory]]) -> None:
        """How far the group counts, by the rollouts of the training problems that the critic has not learned from."""
        if not held_out:
            raise SvebError(f"critic with group={self.group} needs training problems with at least two rollouts")
        if self.group == "level":
            residuals = [self._residuals(rollouts) for rollouts in held_out]
            by_kappa = [sum(_left_out_error(each, kappa) for each in residuals) for kappa in _KAPPAS]
            self.kappa_ = float(_KAPPAS[np.argmin(by_kappa)])
            return

        from sveb.estimators.shared.value_training import squared_error

        errors = np.zeros(_MOST_PASSES + 1)
        for rollouts in held_out:
            # Half of the rollouts value the others.
            halves = rollouts[::2], rollouts[1::2]
            for passes in range(_MOST_PASSES + 1):
                errors[passes] += squared_error(self._tuned(halves[0], passes), halves[1])
        self.passes_ = int(np.argmin(errors))

    def _residuals(self, rollouts: Sequence[Trajectory]) -> Values:
        """Return minus the mean of V along each rollout: (n_rollouts,)."""
        from sveb.estimators.shared.value_model import predict

        read = predict(self.model_, [each.token_ids for each in rollouts])
        return np.array([
            each.return_ - values[each.n_prompt - 1 : -1].mean() for each, values in zip(rollouts, read, strict=True)
        ])  # fmt: skip

    def _tuned(self, rollouts: Sequence[Trajectory], passes: int) -> ValueModel:
        from sveb.estimators.shared.value_training import Recipe, tuned

        return tuned(self.model_, rollouts, Recipe(self._lam, passes, self.lr * _TUNING_RATE, 0))

    @property
    def _lam(self) -> float:
        return {"mc": 1.0, "td0": 0.0, "gae": self.lam}[self.target]

    def _train(self, train: Sequence[Problem]) -> None:
        import torch

        from sveb.estimators.shared.value_store import Store
        from sveb.estimators.shared.value_training import Recipe
        from sveb.estimators.shared.value_training import train as train_model

        learned: list[Trajectory] = []
        held_out: list[Trajectory] = []
        for number, problem in enumerate(train):
            (held_out if number % _HOLD_OUT == 0 else learned).extend(_trajectories(problem))
        if not learned or not held_out:
            raise SvebError("critic needs at least two training problems with rollouts: this suite has too few")
        seed = int(self.rng.integers(2**31))
        torch.manual_seed(seed)
        self.model_ = self._model(self.init == "policy")
        settings = self._settings() | {"seed": seed, "data": _digest([*learned, *held_out])}
        store = Store(self.workplace.scratch, settings)
        recipe = Recipe(self._lam, self.epochs, self.lr, seed)
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


def _trajectories(problem: Problem) -> list[Trajectory]:
    """The rollouts of a problem's group that have a token."""
    from sveb.estimators.shared.value_training import Trajectory

    prompt, group = problem.prompt_token_ids, problem.group
    return [
        Trajectory(np.concatenate([prompt, tokens]), len(prompt), float(return_))
        for tokens, return_ in zip(group.token_ids, group.returns, strict=True)
        if len(tokens)
    ]


def _left_out_error(residuals: Values, kappa: float) -> float:
    """Mean squared difference between each residual and the shrunken mean of the others."""
    others = (residuals.sum() - residuals) / (len(residuals) - 1 + kappa)
    return float(np.mean((residuals - others) ** 2))


def _digest(trajectories: Sequence[Trajectory]) -> str:
    found = hashlib.sha256()
    for each in trajectories:
        found.update(each.token_ids.tobytes() + f"|{each.n_prompt}|{each.return_}|".encode())
    return found.hexdigest()
